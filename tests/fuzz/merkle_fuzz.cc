// Proofs from outside: sizes, an index and a path of any length. Against a tree of our own: what is
// believed is what the tree itself would have said.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "machineconfig/merkle/hash.h"
#include "machineconfig/merkle/proof.h"
#include "machineconfig/merkle/tree.h"

namespace {

using basalt::Digest;
using basalt::merkle::Tree;

constexpr uint64_t kLeaves = 37;

Digest Leaf(uint64_t i) {
  return basalt::merkle::LeafHash({reinterpret_cast<const char*>(&i), sizeof i});
}

const Tree& Known() {
  static const Tree* const tree = [] {
    auto* made = new Tree();
    for (uint64_t i = 0; i < kLeaves; ++i) made->Append(Leaf(i));
    return made;
  }();
  return *tree;
}

// A byte each: a hash of the tree, or (from 128 on) 32 bytes of the input.
std::vector<Digest> Path(const uint8_t*& data, size_t& size) {
  std::vector<Digest> out;
  while (size > 0 && out.size() < 80) {
    const uint8_t kind = *data++;
    --size;
    Digest digest;
    if (kind < 128) {
      const uint64_t n = 1 + kind % kLeaves;
      digest = kind < 64 ? Leaf(n - 1) : Known().Root(n);
    } else {
      if (size < 32) break;
      std::memcpy(digest.bytes.data(), data, 32);
      data += 32;
      size -= 32;
    }
    out.push_back(digest);
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint64_t first = 0, second = 0;
  if (size < 1 + 2 * sizeof first) return 0;
  const uint8_t how = *data;
  std::memcpy(&first, data + 1, sizeof first);
  std::memcpy(&second, data + 1 + sizeof first, sizeof second);
  data += 1 + 2 * sizeof first;
  size -= 1 + 2 * sizeof first;
  if ((how & 1) != 0) {  // sizes that the tree has
    first %= kLeaves;
    second = 1 + second % kLeaves;
  }
  std::vector<Digest> path = Path(data, size);
  const uint64_t known = second <= kLeaves ? second : kLeaves;
  if ((how & 2) != 0 && first < second && second <= kLeaves) {
    // Nearly right: the true path with the bytes of the input mixed into one of its hashes.
    std::vector<Digest> right =
        (how & 4) != 0 ? Known().Consistency(first, second) : Known().Inclusion(first, second);
    for (size_t i = 0; i < right.size() && i < path.size(); ++i) {
      if (how >> 3 == i) right[i] = path[i];
    }
    path = right;
  }
  const Digest root = Known().Root(known);
  if ((how & 4) != 0) {
    if (basalt::merkle::VerifyConsistency(first, second, Known().Root(first % (kLeaves + 1)), root,
                                          path) &&
        second <= kLeaves && first <= second && path != Known().Consistency(first, second)) {
      std::abort();
    }
    return 0;
  }
  const bool good =
      basalt::merkle::VerifyInclusion(Leaf(first % kLeaves), first, second, path, root);
  // Two sizes of one shape share a path: the size is vouched for by whoever states the root.
  if (good && second <= kLeaves && (first >= second || path != Known().Inclusion(first, second))) {
    std::abort();
  }
  return 0;
}
