// Finding a partition by its GPT name, on the disk that the node was booted from.
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

struct Partition {
  char device[80] = {};  // "/dev/vda4"
  uint64_t size = 0;     // bytes
};

// Where it lies.
struct Location {
  char disk[80] = {};  // "/dev/vda"
  uint64_t disk_size = 0;
  uint32_t sector = 512;  // of the disk, logical; all else is bytes
  int number = 0;
  uint64_t start = 0;
};

// Is this /sys/class/block/*/uevent of a partition of that name? Pure.
bool HasPartitionName(const char* uevent, size_t size, const char* name);

// Of the boot disk alone when that is known: another disk or medium with the same names is not this
// node's. ENODEV: none. ENOTUNIQ: more than one.
int FindPartition(Machine& machine, const char* name, Partition* partition);

// Of one that FindPartition found. 0 or errno.
int LocationOf(Machine& machine, const Partition& partition, Location* place);

}  // namespace basalt::init
