// What must hold for trees of every size: beside a slow tree that is the definition of RFC 6962
// word for word.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "machineconfig/merkle/hash.h"
#include "machineconfig/merkle/proof.h"
#include "machineconfig/merkle/tree.h"

namespace basalt::merkle {
namespace {

constexpr uint64_t kSizes = 68;  // past two powers of two

Digest Leaf(uint64_t i) { return LeafHash(absl::StrCat("leaf ", i)); }

const Tree& Big() {
  static const Tree* const tree = [] {
    auto* made = new Tree();
    for (uint64_t i = 0; i < kSizes; ++i) made->Append(Leaf(i));
    return made;
  }();
  return *tree;
}

Digest Mth(uint64_t begin, uint64_t size) {
  if (size == 0) return Sha256("");
  if (size == 1) return Leaf(begin);
  uint64_t k = 1;
  while (k * 2 < size) k *= 2;
  return NodeHash(Mth(begin, k), Mth(begin + k, size - k));
}

// Every way to damage a path that leaves it a path.
std::vector<std::vector<Digest>> Damaged(const std::vector<Digest>& path) {
  std::vector<std::vector<Digest>> out;
  for (size_t i = 0; i <= path.size(); ++i) {
    out.push_back(path);
    out.back().insert(out.back().begin() + static_cast<ptrdiff_t>(i), Sha256("x"));
    out.push_back(path);
    out.back().insert(out.back().begin() + static_cast<ptrdiff_t>(i), Digest());
    if (i == path.size()) break;
    out.push_back(path);
    out.back().erase(out.back().begin() + static_cast<ptrdiff_t>(i));
    out.push_back(path);
    out.back()[i].bytes[31] ^= 1;
    out.push_back(path);
    out.back().insert(out.back().begin() + static_cast<ptrdiff_t>(i), path[i]);
    if (i + 1 < path.size() && path[i] != path[i + 1]) {
      out.push_back(path);
      std::swap(out.back()[i], out.back()[i + 1]);
    }
  }
  return out;
}

TEST(Merkle, RootsAreThoseOfTheDefinition) {
  Frontier frontier;
  for (uint64_t size = 0; size <= kSizes; ++size) {
    EXPECT_EQ(Big().Root(size), Mth(0, size)) << size;
    EXPECT_EQ(frontier.Root(), Mth(0, size)) << size;
    EXPECT_EQ(frontier.size(), size);
    frontier.Append(Leaf(size));
  }
}

TEST(Merkle, AFrontierGoesOnWhereItWasLeft) {
  Frontier whole;
  for (uint64_t i = 0; i < kSizes; ++i) {
    Frontier again(whole.size(), whole.peaks());
    EXPECT_EQ(again.Root(), whole.Root());
    again.Append(Leaf(i));
    whole.Append(Leaf(i));
    EXPECT_EQ(again.Root(), whole.Root()) << i;
  }
  // What was stored and does not fit is nothing, not something near it.
  EXPECT_EQ(Frontier(3, {Leaf(0)}).size(), 0u);
  EXPECT_EQ(Frontier(4, {Leaf(0), Leaf(1)}).Root(), EmptyRoot());
}

TEST(Merkle, EveryInclusionProofHoldsAndNoDamagedOne) {
  for (uint64_t size = 1; size <= kSizes; ++size) {
    const Digest root = Big().Root(size);
    for (uint64_t index = 0; index < size; ++index) {
      const std::vector<Digest> path = Big().Inclusion(index, size);
      ASSERT_TRUE(VerifyInclusion(Leaf(index), index, size, path, root)) << index << " " << size;
      ASSERT_LE(path.size(), 7u);
      EXPECT_FALSE(VerifyInclusion(Leaf(index), index, size, path, Big().Root(size - 1)));
      EXPECT_FALSE(VerifyInclusion(Leaf(index + 1), index, size, path, root));
      for (uint64_t other = 0; other < size + 2; ++other) {
        if (other == index) continue;
        EXPECT_FALSE(VerifyInclusion(Leaf(index), other, size, path, root)) << index << " " << size;
      }
      if (size > 20 && size != kSizes) continue;  // the shapes repeat
      for (const std::vector<Digest>& bad : Damaged(path)) {
        EXPECT_FALSE(VerifyInclusion(Leaf(index), index, size, bad, root)) << index << " " << size;
      }
    }
  }
}

TEST(Merkle, EveryConsistencyProofHoldsAndNoDamagedOne) {
  for (uint64_t to = 1; to <= kSizes; ++to) {
    for (uint64_t from = 0; from <= to; ++from) {
      const Digest old_root = Big().Root(from), new_root = Big().Root(to);
      const std::vector<Digest> path = Big().Consistency(from, to);
      ASSERT_TRUE(VerifyConsistency(from, to, old_root, new_root, path)) << from << " " << to;
      EXPECT_FALSE(VerifyConsistency(from, to, Sha256("x"), new_root, path));
      if (from != 0) {
        EXPECT_FALSE(VerifyConsistency(from, to, old_root, Sha256("x"), path));
      }
      if (from != 0 && from != to) {
        EXPECT_FALSE(VerifyConsistency(to, from, new_root, old_root, path));
        EXPECT_FALSE(VerifyConsistency(from, to, new_root, old_root, path));
      }
      if (to > 20 && to != kSizes) continue;
      for (const std::vector<Digest>& bad : Damaged(path)) {
        EXPECT_FALSE(VerifyConsistency(from, to, old_root, new_root, bad)) << from << " " << to;
      }
    }
  }
}

TEST(Merkle, AnInnerNodeIsNoLeaf) {
  // The attack that the two first bytes are for: the two leaves below a node, shown as one leaf.
  const Digest a = LeafHash("a"), b = LeafHash("b");
  const Digest root = NodeHash(a, b);
  const std::string both =
      absl::StrCat(absl::string_view(reinterpret_cast<const char*>(a.bytes.data()), 32),
                   absl::string_view(reinterpret_cast<const char*>(b.bytes.data()), 32));
  EXPECT_FALSE(VerifyInclusion(LeafHash(both), 0, 1, {}, root));
  EXPECT_FALSE(VerifyInclusion(LeafHash(absl::StrCat("\x01", both)), 0, 1, {}, root));
}

TEST(Merkle, FiveThousandLeavesHaveShortProofs) {
  Tree tree;
  for (uint64_t i = 0; i < 5000; ++i) tree.Append(Leaf(i));
  const Digest root = tree.Root();
  for (uint64_t i = 0; i < 5000; ++i) {
    const std::vector<Digest> path = tree.Inclusion(i, 5000);
    ASSERT_LE(path.size(), 13u);
    ASSERT_TRUE(VerifyInclusion(Leaf(i), i, 5000, path, root)) << i;
  }
}

}  // namespace
}  // namespace basalt::merkle
