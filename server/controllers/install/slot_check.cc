#include "server/controllers/install/slot_check.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"

namespace basalt::install {
namespace {

constexpr uint64_t kBlock = 4096, kHash = 32, kPerBlock = kBlock / kHash;
constexpr uint64_t kMostBlocks = 1 << 20;  // 4 GiB: no slot is as large
constexpr size_t kPiece = 1 << 20;
constexpr size_t kSaltSizeAt = 80, kSaltAt = 88, kMostSalt = 256;  // in the superblock

// Blocks of each level of the tree, the lowest first.
std::vector<uint64_t> Levels(uint64_t blocks) {
  std::vector<uint64_t> levels;
  for (uint64_t n = blocks; n > 1 || levels.empty();) {
    n = (n + kPerBlock - 1) / kPerBlock;
    levels.push_back(n);
  }
  return levels;
}

absl::Status Damaged(const std::string& what) {
  return api::Coded(absl::StatusCode::kDataLoss, "slot-damaged", what,
                    "the medium or the disk is failing: another one");
}

std::string HashOf(const std::string& salt, absl::string_view block) {
  Sha256Stream stream;
  stream.Update(salt);
  stream.Update(block);
  const Digest digest = stream.Finish();
  return std::string(reinterpret_cast<const char*>(digest.bytes.data()), kHash);
}

// Hashes of the blocks of `bytes`, as a level of the tree: whole blocks.
std::string LevelOf(const std::string& salt, absl::string_view bytes) {
  std::string level;
  for (size_t at = 0; at < bytes.size(); at += kBlock) {
    level += HashOf(salt, bytes.substr(at, kBlock));
  }
  level.resize((level.size() + kBlock - 1) / kBlock * kBlock, '\0');
  return level;
}

}  // namespace

uint64_t SlotSpec::size() const {
  uint64_t all = blocks + 1;
  for (uint64_t level : Levels(blocks)) all += level;
  return all * kBlock;
}

absl::StatusOr<SlotSpec> ParseSlotSpec(const std::string& running_root) {
  const std::vector<std::string> parts = absl::StrSplit(running_root, ':');
  SlotSpec spec;
  if (parts.size() != 2 || !Digest::Parse(parts[0]).ok() ||
      !absl::SimpleAtoi(parts[1], &spec.blocks) || spec.blocks == 0 || spec.blocks > kMostBlocks) {
    return absl::InvalidArgumentError(absl::StrCat("no root: ", running_root));
  }
  spec.root_hash = Digest::Parse(parts[0])->Hex();
  return spec;
}

absl::Status CheckSlot(const SlotSpec& spec, const ReadAt& read,
                       const std::function<void(uint64_t bytes)>& progress) {
  auto superblock = read(spec.blocks * kBlock, kBlock);
  if (!superblock.ok()) return superblock.status();
  const auto* bytes = reinterpret_cast<const unsigned char*>(superblock->data());
  const size_t salt_size = bytes[kSaltSizeAt] | size_t{bytes[kSaltSizeAt + 1]} << 8;
  if (superblock->compare(0, 8, "verity\0\0", 8) != 0 || salt_size > kMostSalt) {
    return Damaged("the slot has no superblock");
  }
  const std::string salt = superblock->substr(kSaltAt, salt_size);
  std::string level;
  for (uint64_t at = 0; at < spec.blocks * kBlock; at += kPiece) {
    auto piece = read(at, std::min<uint64_t>(kPiece, spec.blocks * kBlock - at));
    if (!piece.ok()) return piece.status();
    for (size_t i = 0; i < piece->size(); i += kBlock) {
      level += HashOf(salt, absl::string_view(*piece).substr(i, kBlock));
    }
    progress(at + piece->size());
  }
  level.resize((level.size() + kBlock - 1) / kBlock * kBlock, '\0');
  std::vector<std::string> tree = {level};
  while (tree.back().size() > kBlock) tree.push_back(LevelOf(salt, tree.back()));
  const std::string root = HashOf(salt, tree.back());
  if (absl::BytesToHexString(root) != spec.root_hash) {
    return Damaged("the slot does not hold the root that this kernel verifies");
  }
  // On the disk the highest level comes first.
  uint64_t at = (spec.blocks + 1) * kBlock;
  for (auto one = tree.rbegin(); one != tree.rend(); ++one) {
    auto there = read(at, one->size());
    if (!there.ok()) return there.status();
    if (*there != *one) return Damaged("the hash tree of the slot is damaged");
    at += one->size();
  }
  return absl::OkStatus();
}

}  // namespace basalt::install
