#include "machineconfig/merkle/tree.h"

#include <bit>
#include <utility>

#include "machineconfig/merkle/hash.h"

namespace basalt::merkle {
namespace {

// The largest power of two below n; n > 1. Where RFC 6962 splits n leaves.
uint64_t Split(uint64_t n) { return std::bit_floor(n - 1); }

}  // namespace

Frontier::Frontier(uint64_t size, std::vector<Digest> peaks) {
  if (peaks.size() != static_cast<size_t>(std::popcount(size))) return;
  size_ = size;
  peaks_ = std::move(peaks);
}

void Frontier::Append(const Digest& leaf_hash) {
  Digest last = leaf_hash;
  // As in adding one to a binary number: equal subtrees are joined, from the smallest on.
  for (uint64_t bits = size_; (bits & 1) != 0; bits >>= 1) {
    last = NodeHash(peaks_.back(), last);
    peaks_.pop_back();
  }
  peaks_.push_back(last);
  ++size_;
}

Digest Frontier::Root() const {
  if (peaks_.empty()) return EmptyRoot();
  Digest root = peaks_.back();
  for (size_t i = peaks_.size() - 1; i-- > 0;) root = NodeHash(peaks_[i], root);
  return root;
}

void Tree::Append(const Digest& leaf_hash) {
  Digest full = leaf_hash;
  for (size_t level = 0;; ++level) {
    if (level == levels_.size()) levels_.emplace_back();
    std::vector<Digest>& nodes = levels_[level];
    nodes.push_back(full);
    if (nodes.size() % 2 != 0) return;
    full = NodeHash(nodes[nodes.size() - 2], nodes.back());
  }
}

Digest Tree::Range(uint64_t begin, uint64_t size) const {
  if (std::has_single_bit(size)) {
    return levels_[static_cast<size_t>(std::countr_zero(size))][begin / size];
  }
  const uint64_t left = Split(size);
  return NodeHash(Range(begin, left), Range(begin + left, size - left));
}

Digest Tree::Root(uint64_t size) const { return size == 0 ? EmptyRoot() : Range(0, size); }

std::vector<Digest> Tree::Inclusion(uint64_t index, uint64_t size) const {
  std::vector<Digest> down;
  for (uint64_t begin = 0; size > 1;) {
    const uint64_t left = Split(size);
    if (index - begin < left) {
      down.push_back(Range(begin + left, size - left));
      size = left;
    } else {
      down.push_back(Range(begin, left));
      begin += left;
      size -= left;
    }
  }
  return {down.rbegin(), down.rend()};
}

std::vector<Digest> Tree::Consistency(uint64_t from, uint64_t to) const {
  if (from == 0 || from == to) return {};
  std::vector<Digest> down;
  uint64_t begin = 0, size = to;
  // Until the old tree ends where a subtree of the new one does. While nothing of the old tree is
  // to the left, whoever verifies has that subtree already: it is the old root.
  while (from - begin != size) {
    const uint64_t left = Split(size);
    if (from - begin <= left) {
      down.push_back(Range(begin + left, size - left));
      size = left;
    } else {
      down.push_back(Range(begin, left));
      begin += left;
      size -= left;
    }
  }
  if (begin != 0) down.push_back(Range(begin, size));
  return {down.rbegin(), down.rend()};
}

}  // namespace basalt::merkle
