// The part of tries.h that does it: reads the loader's variables, renames the file on the ESP.
#pragma once

#include "images/boot/tries.h"

namespace basalt::boot {

struct Trial {
  bool pending = false;  // there is something to count, and it is not counted yet
  char from[kLongestEntry];
  char to[kLongestEntry];
};

// What the loader left to do. Not pending also where there is no UEFI.
void ReadTrial(Trial* trial);

// Renames the file on this ESP ("/dev/sda1"), durably. `room` is a directory that nothing is
// mounted on. Below zero: a negated errno, of which -ENOENT says that the entry is on another disk.
long Count(const Trial& trial, const char* device, const char* room);

}  // namespace basalt::boot
