// The superblock of dm-verity as cryptsetup writes it (version 1), which lies in a slot between the
// file system and its hash tree. Here its UUID field is the first half of the root hash: so a slot
// says which image it holds, and the boot finds the slot by what is in it. Nothing in it is
// trusted: hash, size and block size come from the command line, a lie in the rest only fails
// verification. Pure.
#pragma once

#include "images/boot/root_spec.h"

namespace basalt::boot {

// Little-endian, as are all machines that we build for; every field lies where it would anyway.
struct Superblock {
  char signature[8];  // "verity\0\0"
  uint32_t version;   // 1
  uint32_t hash_type;
  uint8_t uuid[16];
  char algorithm[32];
  uint32_t data_block_size;
  uint32_t hash_block_size;
  uint64_t data_blocks;
  uint16_t salt_size;
  uint8_t padding1[6];
  uint8_t salt[256];
  uint8_t padding2[168];
};
static_assert(sizeof(Superblock) == 512);

// A superblock of this size, hash and salt (at most 256 bytes).
Superblock MakeSuperblock(const RootSpec& spec, const uint8_t* salt, size_t salt_size);

// True when it is one of ours, for exactly this root: sha256, blocks of 4 KiB, a salt that fits.
bool Matches(const Superblock& superblock, const RootSpec& spec);

// The table line of the device: data and tree in one partition (`device` as MAJOR:MINOR), the tree
// one block behind the data. A wrong block panics the kernel: a root that goes on with EIO is worse
// than a restart, which the loader counts. False when it does not fit.
bool WriteVerityTable(const Superblock& superblock, const RootSpec& spec, Text device,
                      Writer* table);

}  // namespace basalt::boot
