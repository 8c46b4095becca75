#include "server/init/boot/grow.h"

#include <sys/mount.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "server/gpt/gpt.h"
#include "server/init/boot/partitions.h"
#include "server/init/boot/report.h"
#include "server/init/boot/volume.h"
#include "server/init/boot/wipe.h"

namespace basalt::init {
namespace {

constexpr int64_t kResizeLimit = 600LL * 1000000000;
constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kBlock = 4096;  // of the file systems that volume.cc makes

class DiskIo : public gpt::Io {
 public:
  DiskIo(Machine& machine, const char* device) : machine_(machine), device_(device) {}
  int Read(uint64_t offset, void* data, size_t size) override {
    long n = machine_.Read(device_, offset, data, size);
    if (n < 0) return static_cast<int>(-n);
    return n == static_cast<long>(size) ? 0 : EIO;
  }
  int Write(uint64_t offset, const void* data, size_t size) override {
    return machine_.WriteDurably(device_, offset, data, size);
  }

 private:
  Machine& machine_;
  const char* device_;
};

gpt::Table table;  // 16 KiB; one thread

// A little-endian number of the superblock.
uint64_t Number32(const unsigned char* at) {
  return at[0] | uint64_t{at[1]} << 8 | uint64_t{at[2]} << 16 | uint64_t{at[3]} << 24;
}

// Bytes of the ext4 on the device; 0 when there is none.
uint64_t SizeOfExt4(Machine& machine, const char* device) {
  unsigned char super[1024];
  if (machine.Read(device, 1024, super, sizeof super) != sizeof super) return 0;
  if (super[56] != 0x53 || super[57] != 0xef) return 0;
  const uint64_t shift = Number32(super + 24);
  const bool wide = (Number32(super + 96) & 0x80) != 0;  // feature 64bit
  if (shift > 6) return 0;
  return (Number32(super + 4) | (wide ? Number32(super + 0x150) << 32 : 0)) * (1024U << shift);
}

int Refuse(Machine& machine, const char* name, int error, const char* what) {
  Report(machine, "grow-failed", error, "%s: %s: it stays as it is", name, what);
  return error;
}

// What the medium was written with, for as long as no config has said more.
long ReadOfMedium(Machine& machine, char* text, size_t size) {
  Partition esp;
  if (FindPartition(machine, "ESP", &esp) != 0) return -ENOENT;
  int error =
      machine.Mount(esp.device, "/esp", "vfat", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
                    "codepage=437,iocharset=ascii,umask=0077");
  if (error != 0) return -ENOENT;  // TakeTrust says what is wrong with it
  long n = machine.Read(kMediumLimitFile, 0, text, size);
  machine.Unmount("/esp");
  return n;
}

// What has to be at the place of the mark, through the disk, since the partition does not reach
// there yet: so it has no page of it in its cache either, which is another than the disk's.
int PrepareEnd(Machine& machine, const Location& place, uint64_t size, bool empty) {
  static constexpr char kNothing[sizeof kFormatMark] = {};
  return machine.WriteDurably(place.disk, place.start + size - kMarkDistance,
                              empty ? kFormatMark : kNothing, sizeof kFormatMark);
}

}  // namespace

uint64_t ParseLimit(const char* text, size_t size) {
  uint64_t limit = 0;
  size_t i = 0;
  for (; i < size && text[i] >= '0' && text[i] <= '9'; ++i) {
    if (limit > UINT64_MAX / 100) return 0;
    limit = limit * 10 + static_cast<uint64_t>(text[i] - '0');
  }
  return i > 0 && i + 1 == size && text[i] == '\n' ? limit : 0;
}

uint64_t DataLimit(Machine& machine) {
  char text[32];
  long size = machine.Read(kDataLimitFile, 0, text, sizeof text);
  if (size == -ENOENT) size = ReadOfMedium(machine, text, sizeof text);
  if (size == -ENOENT) return UINT64_MAX;
  if (size < 0) size = 0;
  uint64_t limit = ParseLimit(text, static_cast<size_t>(size));
  if (limit > 0) return limit;
  // What it said may have been little: growing is not undone, so not at all.
  Report(machine, "bad-limit", 0, "DATA: how far it may grow cannot be read: not grown");
  return 1;
}

int GrowPartition(Machine& machine, const char* name, uint64_t limit) {
  Partition p;
  Location place;
  int error = FindPartition(machine, name, &p);
  if (error == 0) error = LocationOf(machine, p, &place);
  if (error != 0) return Refuse(machine, name, error, "where it lies is not known");
  if (place.sector < 512 || place.sector > gpt::kLargestSector) {
    return Refuse(machine, name, ENOTSUP, "sectors of this size");
  }
  DiskIo io(machine, place.disk);
  gpt::Copies copies;
  error = gpt::ReadTable(io, {place.sector, place.disk_size / place.sector}, &table, &copies);
  if (error != 0) return Refuse(machine, name, error, "its partition table cannot be read");
  const auto index = static_cast<uint32_t>(place.number - 1);
  gpt::Partition* entry = index < gpt::kPartitions ? &table.partition[index] : nullptr;
  if (entry == nullptr || gpt::Find(table, name) != place.number - 1 ||
      entry->first * place.sector != place.start) {
    return Refuse(machine, name, ESTALE, "the table on the disk is not the one that is in use");
  }
  if (!copies.end) gpt::MoveToEnd(&table);
  const uint64_t old_size = (entry->last - entry->first + 1) * place.sector;
  uint64_t size = (gpt::Room(table, index) - entry->first + 1) * place.sector;
  if (size > limit) size = limit / kMebibyte * kMebibyte;
  int content = static_cast<int>(Content::kForeign);
  if (size >= old_size + kLeastGain) {
    content = Inspect(machine, p.device, p.size);
    if (content < 0) return Refuse(machine, name, -content, "cannot read it");
  }
  const bool empty = content == static_cast<int>(Content::kBlank) ||
                     content == static_cast<int>(Content::kUnfinished);
  // What has to be wiped is wiped first: its order lies at the end that it has now.
  const bool waits = content == static_cast<int>(Content::kUnfinished) &&
                     WipeOrderOf(machine, p.device, p.size) != gpt::WipeMethod::kNone;
  const bool grows = content != static_cast<int>(Content::kForeign) && !waits;
  if (!grows) size = old_size;
  if (grows) {
    error = PrepareEnd(machine, place, size, empty);
    entry->last = entry->first + size / place.sector - 1;
  }
  if (error == 0 && (grows || !copies.good())) error = gpt::WriteTable(io, table);
  if (error != 0) return Refuse(machine, name, error, "cannot write its partition table");
  if (!copies.good()) {
    Report(machine, nullptr, 0, "table: both copies on %s are good, the second at its end",
           place.disk);
  }
  if (p.size >= size) return 0;
  error = machine.ResizePartition(place.disk, place.number, place.start, size);
  if (error != 0) {
    // What is formatted now has the old size; the mark would have it formatted again when the new
    // one counts. A disk that does not take this write takes none of the format either.
    if (grows && empty) PrepareEnd(machine, place, size, false);
    return Refuse(machine, name, error, "the kernel keeps the old size until a restart");
  }
  Report(machine, nullptr, 0, "%s: %s grew from %llu to %llu MiB", name, p.device,
         static_cast<unsigned long long>(p.size / kMebibyte),
         static_cast<unsigned long long>(size / kMebibyte));
  return 0;
}

int GrowFileSystem(Machine& machine, const char* name, const char* device, uint64_t room) {
  const uint64_t size = SizeOfExt4(machine, device);
  const uint64_t blocks = (room - kMarkDistance) / kBlock;  // kept away from the mark
  if (size == 0 || blocks * kBlock < size + kLeastGain) return 0;
  char count[24];
  snprintf(count, sizeof count, "%llu", static_cast<unsigned long long>(blocks));
  const char* const argv[] = {"/usr/sbin/resize2fs", device, count, nullptr};
  Exited exited = {};
  int error = machine.Run(argv, kResizeLimit, &exited);
  if (error != 0 || exited.signal != 0 || exited.code != 0) {
    Report(machine, "grow-failed", error, "%s: resize2fs %s: exit code %d", name, device,
           exited.signal != 0 ? 128 + exited.signal : exited.code);
    return error != 0 ? error : EIO;
  }
  Report(machine, nullptr, 0, "%s: its file system has %llu MiB", name,
         static_cast<unsigned long long>(blocks * kBlock / kMebibyte));
  return 0;
}

}  // namespace basalt::init
