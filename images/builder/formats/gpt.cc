#include "images/builder/formats/gpt.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "images/builder/formats/little_endian.h"
#include "machineconfig/base/digest.h"

namespace basalt::image {
namespace {

constexpr uint64_t kEntries = 128;
constexpr uint64_t kEntrySize = 128;
constexpr uint64_t kEntrySectors = kEntries * kEntrySize / kSectorSize;  // 32
constexpr uint64_t kHeaderSize = 92;
constexpr size_t kLongestName = 36;

// C12A7328-F81F-11D2-BA4B-00A0C93EC93B and 0FC63DAF-8483-4772-8E79-3D69D8477DE4.
constexpr Guid kEfiSystem = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                             0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
constexpr Guid kLinuxData = {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
                             0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4};

uint32_t Crc32(absl::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

void AppendGuid(std::string& to, const Guid& id) {
  to.append(reinterpret_cast<const char*>(id.data()), id.size());
}

std::string Entries(const std::vector<Partition>& partitions) {
  std::string out;
  for (const Partition& p : partitions) {
    AppendGuid(out, p.type == PartitionType::kEfiSystem ? kEfiSystem : kLinuxData);
    AppendGuid(out, p.id);
    AppendNumber<uint64_t>(out, p.first_sector);
    AppendNumber<uint64_t>(out, p.first_sector + p.sectors - 1);
    AppendNumber<uint64_t>(out, 0);
    for (size_t i = 0; i < kLongestName; ++i) {
      AppendNumber<uint16_t>(out, i < p.name.size() ? static_cast<uint8_t>(p.name[i]) : 0);
    }
  }
  out.resize(kEntries * kEntrySize, '\0');
  return out;
}

std::string Header(uint64_t disk_sectors, const Guid& disk_id, uint64_t here, uint64_t there,
                   uint64_t entries_at, uint32_t entries_crc) {
  std::string out = "EFI PART";
  AppendNumber<uint32_t>(out, 0x10000);
  AppendNumber<uint32_t>(out, kHeaderSize);
  AppendNumber<uint32_t>(out, 0);  // its own sum, below
  AppendNumber<uint32_t>(out, 0);
  AppendNumber<uint64_t>(out, here);
  AppendNumber<uint64_t>(out, there);
  AppendNumber<uint64_t>(out, 2 + kEntrySectors);
  AppendNumber<uint64_t>(out, disk_sectors - kEntrySectors - 2);
  AppendGuid(out, disk_id);
  AppendNumber<uint64_t>(out, entries_at);
  AppendNumber<uint32_t>(out, kEntries);
  AppendNumber<uint32_t>(out, kEntrySize);
  AppendNumber<uint32_t>(out, entries_crc);
  WriteNumber<uint32_t>(out, 16, Crc32(out));
  Pad(out, kSectorSize);
  return out;
}

std::string ProtectiveMbr(uint64_t disk_sectors) {
  std::string out(kSectorSize, '\0');
  const uint8_t entry[8] = {0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff};
  memcpy(out.data() + 446, entry, sizeof entry);
  WriteNumber<uint32_t>(out, 454, 1);
  WriteNumber<uint32_t>(out, 458,
                        static_cast<uint32_t>(std::min<uint64_t>(disk_sectors - 1, 0xffffffff)));
  out[510] = '\x55';
  out[511] = '\xaa';
  return out;
}

}  // namespace

absl::StatusOr<PartitionTable> MakeGpt(uint64_t disk_sectors, const Guid& disk_id,
                                       const std::vector<Partition>& partitions) {
  uint64_t free_from = 2 + kEntrySectors;
  for (const Partition& p : partitions) {
    bool ascii =
        std::all_of(p.name.begin(), p.name.end(), [](char c) { return c > ' ' && c < 127; });
    if (p.name.empty() || p.name.size() > kLongestName || !ascii || p.sectors == 0 ||
        p.first_sector < free_from || partitions.size() > kEntries ||
        p.first_sector + p.sectors + kEntrySectors + 1 > disk_sectors) {
      return absl::InvalidArgumentError(absl::StrCat("bad-partition: ", p.name));
    }
    free_from = p.first_sector + p.sectors;
  }
  std::string entries = Entries(partitions);
  uint32_t crc = Crc32(entries);
  uint64_t last = disk_sectors - 1;
  return PartitionTable{
      .start = absl::StrCat(ProtectiveMbr(disk_sectors),
                            Header(disk_sectors, disk_id, 1, last, 2, crc), entries),
      .end =
          absl::StrCat(entries, Header(disk_sectors, disk_id, last, 1, last - kEntrySectors, crc))};
}

void AddToMbr(PartitionTable& table, const Partition& partition) {
  constexpr uint64_t kFirst = 446, kSecond = kFirst + 16;
  WriteNumber<uint32_t>(table.start, kFirst + 12, 0xffffffff);
  const uint8_t entry[8] = {0, 0xfe, 0xff, 0xff, 0x0c, 0xfe, 0xff, 0xff};  // FAT32, by sectors
  memcpy(table.start.data() + kSecond, entry, sizeof entry);
  WriteNumber<uint32_t>(table.start, kSecond + 8, static_cast<uint32_t>(partition.first_sector));
  WriteNumber<uint32_t>(table.start, kSecond + 12, static_cast<uint32_t>(partition.sectors));
}

Guid GuidOf(absl::string_view name) {
  Digest digest = Sha256(name);
  Guid id;
  std::copy_n(digest.bytes.begin(), id.size(), id.begin());
  id[7] = static_cast<uint8_t>((id[7] & 0x0f) | 0x80);  // version 8
  id[8] = static_cast<uint8_t>((id[8] & 0x3f) | 0x80);  // variant
  return id;
}

}  // namespace basalt::image
