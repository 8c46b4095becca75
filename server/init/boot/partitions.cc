#include "server/init/boot/partitions.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace basalt::init {
namespace {

constexpr char kBlock[] = "/sys/class/block";
constexpr uint64_t kUnit = 512;   // of sizes in sysfs, whatever the disk's sectors are
constexpr size_t kDiskSize = 24;  // "253:16\n"

// A small file of sysfs as text. 0 or errno.
int ReadText(Machine& machine, const char* path, char* text, size_t size) {
  long n = machine.Read(path, 0, text, size - 1);
  if (n < 0) return static_cast<int>(-n);
  text[n] = 0;
  return 0;
}

// The number of the disk that holds a partition: sysfs nests one below the other.
bool DiskOf(Machine& machine, const char* partition, char disk[kDiskSize]) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s/../dev", kBlock, partition);
  return ReadText(machine, path, disk, kDiskSize) == 0 && disk[0] != 0;
}

// A number in a file of sysfs. 0 or errno.
int ReadNumber(Machine& machine, const char* block, const char* file, uint64_t* number) {
  char path[192];
  char text[32];
  snprintf(path, sizeof path, "%s/%s/%s", kBlock, block, file);
  if (int error = ReadText(machine, path, text, sizeof text); error != 0) return error;
  char* end = nullptr;
  *number = strtoull(text, &end, 10);
  return end != text ? 0 : EIO;
}

// The disk of the root file system: below its dm-verity device, or directly.
bool BootDisk(Machine& machine, char disk[kDiskSize]) {
  unsigned major = 0;
  unsigned minor = 0;
  if (machine.DeviceOf("/", &major, &minor) != 0) return false;
  char path[128];
  static Names slaves;
  snprintf(path, sizeof path, "/sys/dev/block/%u:%u/slaves", major, minor);
  if (machine.List(path, &slaves) == 0 && slaves.count > 0) {
    return DiskOf(machine, slaves.name[0], disk);
  }
  snprintf(path, sizeof path, "/sys/dev/block/%u:%u/../dev", major, minor);
  return ReadText(machine, path, disk, kDiskSize) == 0 && disk[0] != 0;
}

}  // namespace

bool HasPartitionName(const char* uevent, size_t size, const char* name) {
  bool named = false;
  bool partition = false;
  for (size_t at = 0; at < size;) {
    const char* line = uevent + at;
    const void* end = memchr(line, '\n', size - at);
    size_t length =
        end != nullptr ? static_cast<size_t>(static_cast<const char*>(end) - line) : size - at;
    at += length + 1;
    auto is = [&](const char* key, const char* value) {
      size_t k = strlen(key);
      return length == k + strlen(value) && memcmp(line, key, k) == 0 &&
             memcmp(line + k, value, length - k) == 0;
    };
    named = named || is("PARTNAME=", name);
    partition = partition || is("DEVTYPE=", "partition");
  }
  return named && partition;
}

int FindPartition(Machine& machine, const char* name, Partition* partition) {
  static Names blocks;
  if (int error = machine.List(kBlock, &blocks); error != 0) return error;
  char boot_disk[kDiskSize];
  bool know_boot = BootDisk(machine, boot_disk);
  const char* found = nullptr;
  for (int i = 0; i < blocks.count; ++i) {
    char path[128];
    char text[1024];
    snprintf(path, sizeof path, "%s/%s/uevent", kBlock, blocks.name[i]);
    long size = machine.Read(path, 0, text, sizeof text);
    if (size < 0 || !HasPartitionName(text, static_cast<size_t>(size), name)) continue;
    char disk[kDiskSize];
    if (know_boot && (!DiskOf(machine, blocks.name[i], disk) || strcmp(disk, boot_disk) != 0)) {
      continue;
    }
    if (found != nullptr) return ENOTUNIQ;
    found = blocks.name[i];
  }
  if (found == nullptr) return ENODEV;
  if (int error = ReadNumber(machine, found, "size", &partition->size); error != 0) return error;
  partition->size *= kUnit;
  snprintf(partition->device, sizeof partition->device, "/dev/%s", found);
  return 0;
}

int LocationOf(Machine& machine, const Partition& partition, Location* place) {
  const char* block = partition.device + strlen("/dev/");
  uint64_t sector = 0;
  uint64_t number = 0;
  int error = ReadNumber(machine, block, "partition", &number);
  if (error == 0) error = ReadNumber(machine, block, "start", &place->start);
  if (error == 0) error = ReadNumber(machine, block, "../size", &place->disk_size);
  if (error == 0) error = ReadNumber(machine, block, "../queue/logical_block_size", &sector);
  if (error != 0) return error;
  place->start *= kUnit;
  place->disk_size *= kUnit;
  place->sector = static_cast<uint32_t>(sector);
  place->number = static_cast<int>(number);
  char path[128];
  char text[512];
  snprintf(path, sizeof path, "%s/%s/../uevent", kBlock, block);
  if ((error = ReadText(machine, path, text, sizeof text)) != 0) return error;
  char* rest = nullptr;
  for (char* line = strtok_r(text, "\n", &rest); line != nullptr;
       line = strtok_r(nullptr, "\n", &rest)) {
    if (strncmp(line, "DEVNAME=", 8) != 0) continue;
    snprintf(place->disk, sizeof place->disk, "/dev/%.70s", line + 8);
    return 0;
  }
  return ENODEV;
}

}  // namespace basalt::init
