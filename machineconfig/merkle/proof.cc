#include "machineconfig/merkle/proof.h"

#include "machineconfig/merkle/hash.h"

namespace basalt::merkle {
bool VerifyInclusion(const Digest& leaf_hash, uint64_t index, uint64_t size,
                     absl::Span<const Digest> path, const Digest& root) {
  if (index >= size) return false;
  uint64_t node = index, last = size - 1;
  Digest have = leaf_hash;
  for (const Digest& sibling : path) {
    if (last == 0) return false;  // longer than the way to the root
    if ((node & 1) != 0 || node == last) {
      have = NodeHash(sibling, have);
      // The last node of a level may have no sibling there: it stands for its parent as it is.
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      have = NodeHash(have, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && have == root;
}

bool VerifyConsistency(uint64_t from, uint64_t to, const Digest& from_root, const Digest& to_root,
                       absl::Span<const Digest> path) {
  if (from > to) return false;
  if (from == to) return path.empty() && from_root == to_root;
  if (from == 0) return path.empty() && from_root == EmptyRoot();
  uint64_t node = from - 1, last = to - 1;
  while ((node & 1) != 0) {
    node >>= 1;
    last >>= 1;
  }
  Digest old_have, new_have;
  if (node == 0) {  // `from` is a power of two: its root is a node of the new tree
    old_have = new_have = from_root;
  } else {
    if (path.empty()) return false;
    old_have = new_have = path.front();
    path.remove_prefix(1);
  }
  for (const Digest& sibling : path) {
    if (last == 0) return false;
    if ((node & 1) != 0 || node == last) {
      old_have = NodeHash(sibling, old_have);
      new_have = NodeHash(sibling, new_have);
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      new_have = NodeHash(new_have, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && old_have == from_root && new_have == to_root;
}

}  // namespace basalt::merkle
