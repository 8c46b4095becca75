// DATA and the partition table follow the disk: an image is written to a disk that is larger, and
// a disk of a virtual machine grows.
//
//   before DATA is mounted    the table's second copy moves to the disk's end, DATA's partition
//                             grows in the table and in the kernel
//   after it                  the file system grows to its partition, mounted: the kernel journals
//                             each step, which growing an unmounted one does not
//
// A partition that is empty still is marked as "being formatted" at its new end before the table is
// written: what lies on the disk behind the image (the disk was used before) is no data of DATA,
// and the format that follows takes all of it. Cut anywhere, the next boot finds the old or the new
// table (server/gpt/gpt.h), and does the rest. A disk whose size did not change is not written to.
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

inline constexpr char kDataLimitFile[] = "/state/data-limit";
inline constexpr char kMediumLimitFile[] = "/esp/basalt/data-limit";
inline constexpr uint64_t kLeastGain = 16 << 20;  // what is less is not worth a write

// DATA may have so many bytes: storage.data.maxSize, which noded keeps on STATE, or before a config
// what the medium was written with (`--data-limit` of the image). UINT64_MAX: all there are.
uint64_t DataLimit(Machine& machine);
// Pure: decimal digits and a line feed. 0 when it is anything else.
uint64_t ParseLimit(const char* text, size_t size);

// 0, also when there is nothing to do, or an errno that was said. DATA is left as it is then.
int GrowPartition(Machine& machine, const char* name, uint64_t limit);

// Of the mounted partition of that name, which has `room` bytes on `device`.
int GrowFileSystem(Machine& machine, const char* name, const char* device, uint64_t room);

}  // namespace basalt::init
