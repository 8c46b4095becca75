// Randomness carried over a reboot: a machine without a source of its own would make guessable
// keys.
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

inline constexpr char kSeedFile[] = "/state/random-seed";
inline constexpr size_t kSeedSize = 512;

// Mixes the seed in, and writes another before it counts for anything: a seed that could be read
// twice (a power cut, a copied disk that is read-only) is mixed in but not credited. 0 or errno.
int TakeSeed(Machine& machine);

// A new seed for the next boot.
int LeaveSeed(Machine& machine);

}  // namespace basalt::init
