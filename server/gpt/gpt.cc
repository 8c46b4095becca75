#include "server/gpt/gpt.h"

#include <cerrno>
#include <cstring>

namespace basalt::gpt {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "entries are used as they lie there");

constexpr char kSignature[] = "EFI PART";
constexpr uint32_t kRevision = 0x10000;
constexpr uint32_t kHeaderSize = 92;
constexpr size_t kEntryBytes = size_t{kPartitions} * kEntrySize;
constexpr uint64_t kMebibyte = 1 << 20;
constexpr size_t kMbrType = 450, kMbrSize = 458, kMbrMark = 510;

struct [[gnu::packed]] Header {
  char signature[8];
  uint32_t revision;
  uint32_t size;
  uint32_t crc;  // of the header, with zero here
  uint32_t reserved;
  uint64_t here;
  uint64_t there;
  uint64_t first_usable;
  uint64_t last_usable;
  uint8_t id[16];
  uint64_t entries_at;
  uint32_t entries;
  uint32_t entry_size;
  uint32_t entries_crc;
};
static_assert(sizeof(Header) == kHeaderSize);

uint64_t EntrySectors(const Disk& disk) { return (kEntryBytes + disk.sector - 1) / disk.sector; }

bool Sane(const Disk& disk) {
  return disk.sector >= 512 && disk.sector <= kLargestSector &&
         (disk.sector & (disk.sector - 1)) == 0 && disk.sectors > 2 * EntrySectors(disk) + 4 &&
         disk.sectors <= UINT64_MAX / kLargestSector;
}

bool SignatureOf(const uint8_t* sector) { return memcmp(sector, kSignature, 8) == 0; }

// One copy, of which the header is at `here`. Sums first: nothing else is looked at without them.
int ParseHeader(const Disk& disk, const uint8_t* sector, uint64_t here, Header* header) {
  memcpy(header, sector, sizeof *header);
  if (!SignatureOf(sector)) return ENODATA;
  if (header->size < kHeaderSize || header->size > disk.sector) return EBADMSG;
  uint8_t copy[kLargestSector];
  memcpy(copy, sector, header->size);
  memset(copy + offsetof(Header, crc), 0, sizeof header->crc);
  if (Crc32(copy, header->size) != header->crc || header->here != here) return EBADMSG;
  if (header->revision != kRevision || header->size != kHeaderSize ||
      header->entries != kPartitions || header->entry_size != kEntrySize) {
    return ENOTSUP;
  }
  // Elsewhere than beside the header: legal, and made by nothing that we know.
  const uint64_t entries = here == 1 ? 2 : here - EntrySectors(disk);
  return here == 1 && header->entries_at != entries ? ENOTSUP : 0;
}

// Every partition within what may be used, no two over each other.
int CheckPlaces(const Table& table) {
  const uint64_t reserved = EntrySectors(table.disk);
  if (table.first_usable < 2 + reserved || table.first_usable > table.last_usable) return EBADMSG;
  if (table.last_usable >= table.disk.sectors) return ERANGE;
  for (uint32_t i = 0; i < kPartitions; ++i) {
    const Partition& p = table.partition[i];
    if (!p.used()) continue;
    if (p.first > p.last || p.first < table.first_usable || p.last > table.last_usable) {
      return EBADMSG;
    }
    for (uint32_t k = 0; k < i; ++k) {
      const Partition& other = table.partition[k];
      if (other.used() && p.first <= other.last && other.first <= p.last) return EBADMSG;
    }
  }
  return 0;
}

// A copy as a whole. `table` may be half filled in when it is not 0.
int ReadCopy(Io& io, const Disk& disk, uint64_t here, Table* table) {
  uint8_t sector[kLargestSector];
  Header header;
  if (int error = io.Read(here * disk.sector, sector, disk.sector); error != 0) return error;
  if (int error = ParseHeader(disk, sector, here, &header); error != 0) return error;
  if (header.entries_at == 0 || header.entries_at > disk.sectors - EntrySectors(disk)) {
    return EBADMSG;
  }
  int error = io.Read(header.entries_at * disk.sector, table->partition, kEntryBytes);
  if (error != 0) return error;
  if (Crc32(table->partition, kEntryBytes) != header.entries_crc) return EBADMSG;
  table->disk = disk;
  memcpy(table->id, header.id, sizeof table->id);
  table->first_usable = header.first_usable;
  table->last_usable = header.last_usable;
  table->backup = here == 1 ? header.there : here;
  return CheckPlaces(*table);
}

// Is the copy at the end the same, byte for byte? No second table: it would be 16 KiB of stack.
bool EndIsTheSame(Io& io, const Table& table) {
  const Disk& disk = table.disk;
  uint8_t sector[kLargestSector];
  Header header;
  if (io.Read(table.backup * disk.sector, sector, disk.sector) != 0 ||
      ParseHeader(disk, sector, table.backup, &header) != 0 || header.there != 1 ||
      header.first_usable != table.first_usable || header.last_usable != table.last_usable ||
      memcmp(header.id, table.id, sizeof table.id) != 0 ||
      header.entries_at > disk.sectors - EntrySectors(disk)) {
    return false;
  }
  const auto* entries = reinterpret_cast<const uint8_t*>(table.partition);
  for (size_t at = 0; at < kEntryBytes; at += sizeof sector) {
    if (io.Read(header.entries_at * disk.sector + at, sector, sizeof sector) != 0) return false;
    if (memcmp(sector, entries + at, sizeof sector) != 0) return false;
  }
  return header.entries_crc == Crc32(entries, kEntryBytes);
}

uint32_t MbrSize(const Disk& disk) {
  return disk.sectors - 1 < UINT32_MAX ? static_cast<uint32_t>(disk.sectors - 1) : UINT32_MAX;
}

bool MbrIsGood(const uint8_t* mbr, const Disk& disk) {
  uint32_t size = 0;
  memcpy(&size, mbr + kMbrSize, sizeof size);
  return mbr[kMbrMark] == 0x55 && mbr[kMbrMark + 1] == 0xaa && mbr[kMbrType] == 0xee &&
         (size == MbrSize(disk) || size == UINT32_MAX);
}

void FillMbr(uint8_t* mbr, const Disk& disk) {
  // What stood there before the mark, code for a BIOS, is nobody's business here.
  const uint8_t entry[8] = {0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff};
  const uint32_t first = 1, size = MbrSize(disk);
  memset(mbr + 446, 0, 64);
  memcpy(mbr + 446, entry, sizeof entry);
  memcpy(mbr + 454, &first, sizeof first);
  memcpy(mbr + kMbrSize, &size, sizeof size);
  mbr[kMbrMark] = 0x55;
  mbr[kMbrMark + 1] = 0xaa;
}

// Entries before their header: a header without its entries would be a damaged copy just as well,
// but an old header before new entries is found to be one by its sum.
int WriteCopy(Io& io, const Table& table, uint64_t here, uint64_t there, uint64_t entries_at) {
  Header header = {};
  memcpy(header.signature, kSignature, sizeof header.signature);
  header.revision = kRevision;
  header.size = kHeaderSize;
  header.here = here;
  header.there = there;
  header.first_usable = table.first_usable;
  header.last_usable = table.last_usable;
  memcpy(header.id, table.id, sizeof header.id);
  header.entries_at = entries_at;
  header.entries = kPartitions;
  header.entry_size = kEntrySize;
  header.entries_crc = Crc32(table.partition, kEntryBytes);
  header.crc = Crc32(&header, sizeof header);
  int error = io.Write(entries_at * table.disk.sector, table.partition, kEntryBytes);
  if (error != 0) return error;
  uint8_t sector[kLargestSector] = {};
  memcpy(sector, &header, sizeof header);
  return io.Write(here * table.disk.sector, sector, table.disk.sector);
}

}  // namespace

const uint8_t kLinuxData[16] = {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
                                0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4};

bool Partition::used() const {
  for (uint8_t byte : type) {
    if (byte != 0) return true;
  }
  return false;
}

int ReadTable(Io& io, const Disk& disk, Table* table, Copies* copies) {
  *copies = {};
  if (!Sane(disk)) return ERANGE;
  const uint64_t end = disk.sectors - 1;
  const int begin = ReadCopy(io, disk, 1, table);
  copies->begin = begin == 0;
  if (begin == 0) {
    copies->end = table->backup == end && EndIsTheSame(io, *table);
  } else if (begin == ENODATA || begin == EBADMSG) {
    // Not when the begin cannot be read or is of another kind: then nothing is known of the disk.
    const int last = ReadCopy(io, disk, end, table);
    copies->end = last == 0;
    if (last != 0) return begin == ENODATA && last == EBADMSG ? last : begin;
  } else {
    return begin;
  }
  uint8_t mbr[kLargestSector];
  if (int error = io.Read(0, mbr, disk.sector); error != 0) return error;
  copies->mbr = MbrIsGood(mbr, disk);
  return 0;
}

int WriteTable(Io& io, const Table& table) {
  const uint64_t end = table.disk.sectors - 1;
  if (!Sane(table.disk) || table.backup != end || CheckPlaces(table) != 0 ||
      table.last_usable >= end - EntrySectors(table.disk)) {
    return EINVAL;
  }
  uint8_t mbr[kLargestSector];
  int error = io.Read(0, mbr, table.disk.sector);
  if (error == 0) error = WriteCopy(io, table, end, 1, end - EntrySectors(table.disk));
  if (error == 0) error = WriteCopy(io, table, 1, end, 2);
  if (error != 0 || MbrIsGood(mbr, table.disk)) return error;
  // Last, one sector: Linux and firmware do not mind the old size.
  FillMbr(mbr, table.disk);
  return io.Write(0, mbr, table.disk.sector);
}

int MakeTable(const Disk& disk, const uint8_t id[16], Table* table) {
  *table = {};
  table->disk = disk;
  if (!Sane(disk) || disk.sectors * disk.sector < 4 * kMebibyte) return EINVAL;
  memcpy(table->id, id, sizeof table->id);
  table->first_usable = 2 + EntrySectors(disk);
  MoveToEnd(table);
  return 0;
}

void MoveToEnd(Table* table) {
  table->backup = table->disk.sectors - 1;
  table->last_usable = table->backup - EntrySectors(table->disk) - 1;
}

uint64_t Room(const Table& table, uint32_t index) {
  const Partition& p = table.partition[index];
  uint64_t last = table.last_usable;
  for (const Partition& other : table.partition) {
    if (other.used() && other.first > p.last && other.first - 1 < last) last = other.first - 1;
  }
  const uint64_t step = kMebibyte / table.disk.sector;
  const uint64_t end = (last + 1) / step * step;  // 0 when all of it lies in the first mebibyte
  return end > p.last + 1 ? end - 1 : p.last;
}

bool FreeBehind(const Table& table, uint64_t* first, uint64_t* last) {
  const uint64_t step = kMebibyte / table.disk.sector;
  uint64_t from = table.first_usable;
  for (const Partition& p : table.partition) {
    if (p.used() && p.last >= from) from = p.last + 1;
  }
  *first = (from + step - 1) / step * step;
  const uint64_t end = (table.last_usable + 1) / step * step;
  if (*first >= end) return false;
  *last = end - 1;
  return true;
}

void NameOf(const Partition& partition, char* text) {
  size_t i = 0;
  for (; i < kNameSize - 1; ++i) {
    const unsigned c = partition.name[2 * i] | static_cast<unsigned>(partition.name[2 * i + 1])
                                                   << 8;
    if (c == 0) break;
    text[i] = c > ' ' && c < 127 ? static_cast<char>(c) : '?';
  }
  text[i] = 0;
}

void SetName(Partition* partition, const char* ascii) {
  memset(partition->name, 0, sizeof partition->name);
  for (size_t i = 0; i < kNameSize - 1 && ascii[i] != 0; ++i) {
    partition->name[2 * i] = static_cast<uint8_t>(ascii[i]);
  }
}

int Find(const Table& table, const char* name) {
  int found = -1;
  char text[kNameSize];
  for (uint32_t i = 0; i < kPartitions; ++i) {
    if (!table.partition[i].used()) continue;
    NameOf(table.partition[i], text);
    if (strcmp(text, name) != 0) continue;
    if (found >= 0) return -2;
    found = static_cast<int>(i);
  }
  return found;
}

uint32_t Crc32(const void* data, size_t size) {
  uint32_t crc = 0xffffffff;
  for (const uint8_t* at = static_cast<const uint8_t*>(data); size > 0; --size, ++at) {
    crc ^= *at;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~crc;
}

}  // namespace basalt::gpt
