// An install medium that is a CD or DVD. For the kernel a disc has no partitions, whatever lies on
// it; a loop device over it has, and from there on it is a disk like others.
#pragma once

#include "images/boot/text.h"

namespace basalt::boot {

// Are these the first bytes of the second sector (of 512 bytes) of a disk with a GPT?
bool IsTableHeader(Text sector);

// 0, or a negated errno: no disc in the drive, one without a partition table, no loop device.
long AttachDisc(const char* device);

}  // namespace basalt::boot
