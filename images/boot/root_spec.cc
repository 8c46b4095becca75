#include "images/boot/root_spec.h"

namespace basalt::boot {
namespace {

bool ParseOne(Text value, RootSpec* spec) {
  constexpr size_t kHexDigits = 2 * sizeof spec->hash;
  if (value.size < kHexDigits + 2 || value.data[kHexDigits] != ':') return false;
  uint64_t blocks = 0;
  if (!ParseHex({value.data, kHexDigits}, spec->hash, sizeof spec->hash) ||
      !ParseNumber({value.data + kHexDigits + 1, value.size - kHexDigits - 1}, kMostBlocks,
                   &blocks) ||
      blocks < 2) {  // a tree of one block has another shape; no root is that small
    return false;
  }
  spec->blocks = blocks;
  return true;
}

}  // namespace

bool ParseRootSpec(Text command_line, RootSpec* spec) {
  constexpr Text kName = Literal("noded.root=");
  int found = 0;
  Text rest = command_line;
  // The kernel's own text ends with a line break.
  while (rest.size > 0 && (rest.data[rest.size - 1] == '\n' || rest.data[rest.size - 1] == 0)) {
    --rest.size;
  }
  Text word;
  while (NextPiece(&rest, ' ', &word)) {
    if (!StartsWith(word, kName)) continue;
    if (++found > 1 || !ParseOne({word.data + kName.size, word.size - kName.size}, spec)) {
      return false;
    }
  }
  return found == 1;
}

}  // namespace basalt::boot
