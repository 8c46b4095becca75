#include "images/builder/formats/verity.h"

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "images/boot/superblock.h"
#include "images/builder/formats/little_endian.h"

namespace basalt::image {
namespace {

using boot::kBlockSize;

void AppendDigest(std::string& to, absl::string_view salt, absl::string_view block) {
  Sha256Stream hash;
  hash.Update(salt);
  hash.Update(block);
  Digest digest = hash.Finish();
  to.append(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
}

// One level up: the digests of the blocks of `below`, in whole blocks.
std::string Level(absl::string_view salt, absl::string_view below) {
  std::string level;
  for (size_t at = 0; at < below.size(); at += kBlockSize) {
    AppendDigest(level, salt, below.substr(at, kBlockSize));
  }
  Pad(level, kBlockSize);
  return level;
}

}  // namespace

absl::StatusOr<VeritySlot> AppendVerity(std::string file_system, absl::string_view salt) {
  boot::RootSpec spec{.hash = {}, .blocks = file_system.size() / kBlockSize};
  if (file_system.size() % kBlockSize != 0 || spec.blocks < 2 || spec.blocks > boot::kMostBlocks ||
      salt.empty() || salt.size() > sizeof(boot::Superblock::salt)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "bad-size: a file system of ", file_system.size(), " bytes with a salt of ", salt.size()));
  }
  std::vector<std::string> levels;  // from the data up
  levels.push_back(Level(salt, file_system));
  while (levels.back().size() > kBlockSize) levels.push_back(Level(salt, levels.back()));
  std::string root;
  AppendDigest(root, salt, levels.back());

  VeritySlot slot;
  memcpy(slot.root_hash.bytes.data(), root.data(), root.size());
  memcpy(spec.hash, root.data(), root.size());
  slot.data_blocks = spec.blocks;
  slot.bytes = std::move(file_system);
  boot::Superblock superblock =
      boot::MakeSuperblock(spec, reinterpret_cast<const uint8_t*>(salt.data()), salt.size());
  slot.bytes.append(reinterpret_cast<const char*>(&superblock), sizeof superblock);
  Pad(slot.bytes, kBlockSize);
  for (auto level = levels.rbegin(); level != levels.rend(); ++level) slot.bytes += *level;
  return slot;
}

}  // namespace basalt::image
