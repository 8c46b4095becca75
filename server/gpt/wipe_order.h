// Lies in the block behind the format mark (format_mark.h) when what a partition holds has to be
// destroyed before it is formatted anew: noded writes it and then the mark, for a reset; noded-init
// obeys it at the next boot, before anything uses the partition, and again after a power cut, until
// it is done.
//
//   order, then mark      on the disk       the next boot
//   ------------------    --------------    --------------------------------------------------
//   nothing               –                 mounts what is there; noded goes on with the reset
//   the order alone       no mark           the same
//   both                  order and mark    wipes, takes the order away, formats, mounts, takes the
//                                           mark away
//   the order is gone     the mark alone    formats
#pragma once

#include <cstdint>

#include "server/gpt/format_mark.h"

namespace basalt::gpt {

inline constexpr uint64_t kWipeDistance = kMarkDistance - 4096;  // from the end of the partition
inline constexpr char kWipeMagic[] = "basalt: to be wiped before the format";

enum class WipeMethod : uint8_t {
  kNone = 0,     // the format alone: what was there can be read back with tools
  kZero = 1,     // every byte is overwritten with zeros
  kDiscard = 2,  // the disk is told to forget every block; zeros, where it does not
  kCrypto = 3,   // the header of the encryption is overwritten, with the keys in it
};
inline constexpr uint8_t kWipeMethods = 4;

// What a header of LUKS2 and the areas of its keyslots may have at most.
inline constexpr uint64_t kCryptoHeader = 16 << 20;

struct WipeOrder {
  char magic[sizeof kWipeMagic];
  uint8_t method;
};
static_assert(sizeof(WipeOrder) <= 512);  // one sector: whole or not at all

}  // namespace basalt::gpt
