// Merkle trees of RFC 6962 section 2.1, built leaf by leaf. Leaves are never changed and never
// removed: a tree of n leaves is the beginning of every larger one.
//
// Frontier remembers O(log n): enough to append and to name the root, for a log that grows for
// years. Tree remembers two hashes a leaf and gives proofs as well. Both are values; not
// thread-safe. Leaf data is not kept.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "machineconfig/base/digest.h"

namespace basalt::merkle {

class Frontier {
 public:
  Frontier() = default;
  // What `peaks()` of a frontier of `size` leaves gave: empty and of size 0 when their number is
  // not that of the bits set in `size`.
  Frontier(uint64_t size, std::vector<Digest> peaks);

  void Append(const Digest& leaf_hash);
  uint64_t size() const { return size_; }
  // Roots of the full subtrees, the largest first: a bit of `size` each.
  const std::vector<Digest>& peaks() const { return peaks_; }
  Digest Root() const;

 private:
  uint64_t size_ = 0;
  std::vector<Digest> peaks_;
};

class Tree {
 public:
  void Append(const Digest& leaf_hash);
  uint64_t size() const { return levels_.empty() ? 0 : levels_[0].size(); }
  Digest Root() const { return Root(size()); }
  // Of the first `size` leaves; at most size().
  Digest Root(uint64_t size) const;
  // PATH(index, D[size]) of the RFC, from the leaf to the root. index < size <= size().
  std::vector<Digest> Inclusion(uint64_t index, uint64_t size) const;
  // PROOF(from, D[to]) of the RFC. from <= to <= size(); empty for from = 0 and for from = to.
  std::vector<Digest> Consistency(uint64_t from, uint64_t to) const;

 private:
  // Of the leaves [begin, begin + size); `begin` is a multiple of the power of two above `size`.
  Digest Range(uint64_t begin, uint64_t size) const;
  std::vector<std::vector<Digest>>
      levels_;  // [k][i]: the full subtree of leaves [i·2^k, (i+1)·2^k)
};

}  // namespace basalt::merkle
