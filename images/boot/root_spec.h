// Which root to boot, as the kernel command line says it: `noded.root=<64 hex digits>:<blocks>`,
// the root hash of the dm-verity tree and the size of what it covers in blocks of 4 KiB. The
// command line is part of the (signed) kernel image, so nothing on a disk can name another root.
// Pure.
#pragma once

#include "images/boot/text.h"

namespace basalt::boot {

inline constexpr size_t kBlockSize = 4096;
// 1 TiB: beyond it the offsets below would need more care than a root file system deserves.
inline constexpr uint64_t kMostBlocks = uint64_t{1} << 28;

struct RootSpec {
  uint8_t hash[32];
  uint64_t blocks;
};

// False when `noded.root` is absent, there twice (whoever appends one must not win), or not exactly
// as above. Words of a command line are separated by blanks; quotes have no meaning for us.
bool ParseRootSpec(Text command_line, RootSpec* spec);

}  // namespace basalt::boot
