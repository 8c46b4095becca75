// The hash tree of dm-verity: what cryptsetup's `veritysetup format` computes, without a device and
// without root. Pure.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/base/digest.h"

namespace basalt::image {

struct VeritySlot {
  std::string bytes;  // file system, superblock (one block), tree: what is written into a slot
  Digest root_hash;
  uint64_t data_blocks = 0;
};

// `file_system` is a whole number of blocks of 4 KiB, two at least. The salt is not a secret: it
// makes tables of hashes useless; a fixed one keeps builds equal. Levels lie from the root down.
// Reasons: bad-size.
absl::StatusOr<VeritySlot> AppendVerity(std::string file_system, absl::string_view salt);

}  // namespace basalt::image
