// Counting the tries of a boot entry where the loader cannot: systemd-boot renames the file of an
// entry on trial before it starts it, but below U-Boot the rename is refused, and it goes on
// without. Then the first program does what the loader would have done. Pure.
//
//   LoaderBootCountPath   LoaderEntrySelected    ->
//   there                                        nothing: the loader has counted
//   absent                "noded_2+3.efi"        noded_2+3.efi becomes noded_2+2-1.efi
//   absent                "noded_2+2-1.efi"      noded_2+2-1.efi becomes noded_2+1-2.efi
//   absent                "noded_2+0-3.efi"      nothing: it boots only where no other entry is
//   absent                "noded_2.efi", none    nothing: not on trial, or another loader
#pragma once

#include "images/boot/text.h"

namespace basalt::boot {

inline constexpr size_t kLongestEntry = 128;

// The text of a variable of efivarfs: 4 bytes of attributes, UTF-16, one NUL at its end. False when
// it is no name of a file of ours: letters, digits, ".", "_", "-", "+", "~", no "." at its begin.
bool EntryOfVariable(Text bytes, Writer* name);

// The name that the entry has once this boot is counted. False when there is nothing to count.
bool CountedName(Text name, Writer* next);

}  // namespace basalt::boot
