// Is what lies in a slot the root that the kernel was told of? Every block is hashed, as dm-verity
// would; the tree beside the data has to be the same that comes out of that. (Superblock and tree
// as images/boot/superblock.h and cryptsetup have them.) Pure but for the reads.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace basalt::install {

struct SlotSpec {
  std::string root_hash;  // 64 hex digits
  uint64_t blocks = 0;    // of 4 KiB: the data
  // Data, superblock and tree, in bytes.
  uint64_t size() const;
};

// Of "HEX64:BLOCKS". InvalidArgument.
absl::StatusOr<SlotSpec> ParseSlotSpec(const std::string& running_root);

using ReadAt = std::function<absl::StatusOr<std::string>(uint64_t offset, size_t size)>;

// DataLoss "slot-damaged": what was found there is not it.
absl::Status CheckSlot(const SlotSpec& spec, const ReadAt& read,
                       const std::function<void(uint64_t bytes)>& progress);

}  // namespace basalt::install
