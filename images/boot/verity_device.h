// The device-mapper half: makes the verified device by ioctl, with no library and no udev.
#pragma once

#include "images/boot/text.h"

namespace basalt::boot {

// Creates the read-only device "root" of `blocks` blocks from one verity table line and starts it.
// 0 and its path ("/dev/dm-0") in `path`, or a negated errno. Only during boot: nothing is undone
// when it fails, as a restart follows.
long CreateVerityDevice(uint64_t blocks, const char* table, size_t table_length, char* path,
                        size_t path_size);

}  // namespace basalt::boot
