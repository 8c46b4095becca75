// A block device as /sys/class/block/NAME/uevent describes it. Pure.
#pragma once

#include "images/boot/text.h"

namespace basalt::boot {

struct Partition {
  Text name;   // DEVNAME, below /dev
  Text label;  // PARTNAME, of the GPT
  Text major, minor;
};

// False when it is not a partition with a label, or when a field is odd: names with '/' or "..",
// numbers that are none.
bool ParsePartition(Text uevent, Partition* partition);

bool IsSlot(const Partition& partition);  // SLOT-A or SLOT-B
bool IsEsp(const Partition& partition);

}  // namespace basalt::boot
