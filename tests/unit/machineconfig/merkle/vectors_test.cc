// The test vectors of Certificate Transparency (MerkleTreeTest of its C++ and Go implementations):
// eight leaves, the root after each, and the proofs they publish.
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "machineconfig/merkle/hash.h"
#include "machineconfig/merkle/proof.h"
#include "machineconfig/merkle/tree.h"

namespace basalt::merkle {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

const char* const kLeaves[] = {"",
                               "00",
                               "10",
                               "2021",
                               "3031",
                               "40414243",
                               "5051525354555657",
                               "606162636465666768696a6b6c6d6e6f"};

const char* const kRoots[] = {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                              "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                              "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                              "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                              "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                              "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                              "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                              "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                              "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

struct Proof {
  uint64_t first;  // leaf, or the smaller tree
  uint64_t size;
  std::vector<const char*> path;
};

const Proof kInclusion[] = {
    {0, 1, {}},
    {0,
     8,
     {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
    {5,
     8,
     {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {2, 3, {"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
    {1,
     5,
     {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
};

const Proof kConsistency[] = {
    {1, 1, {}},
    {1,
     8,
     {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
    {6,
     8,
     {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {2,
     5,
     {"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
};

Digest Hash(const char* hex) { return Digest::Parse(hex).value(); }

std::vector<Digest> Hashes(const std::vector<const char*>& hex) {
  std::vector<Digest> out;
  for (const char* one : hex) out.push_back(Hash(one));
  return out;
}

Digest Leaf(uint64_t i) { return LeafHash(absl::HexStringToBytes(kLeaves[i])); }

Tree Eight() {
  Tree tree;
  for (uint64_t i = 0; i < 8; ++i) tree.Append(Leaf(i));
  return tree;
}

TEST(MerkleVectors, RootsAfterEachLeaf) {
  Tree tree;
  Frontier frontier;
  EXPECT_EQ(tree.Root().Hex(), kRoots[0]);
  EXPECT_EQ(frontier.Root().Hex(), kRoots[0]);
  for (uint64_t i = 0; i < 8; ++i) {
    tree.Append(Leaf(i));
    frontier.Append(Leaf(i));
    EXPECT_EQ(tree.Root().Hex(), kRoots[i + 1]);
    EXPECT_EQ(frontier.Root().Hex(), kRoots[i + 1]);
  }
  for (uint64_t size = 0; size <= 8; ++size) EXPECT_EQ(tree.Root(size).Hex(), kRoots[size]);
}

TEST(MerkleVectors, InclusionProofs) {
  const Tree tree = Eight();
  for (const Proof& proof : kInclusion) {
    const std::vector<Digest> path = Hashes(proof.path);
    EXPECT_THAT(tree.Inclusion(proof.first, proof.size), ElementsAreArray(path));
    EXPECT_TRUE(VerifyInclusion(Leaf(proof.first), proof.first, proof.size, path,
                                Hash(kRoots[proof.size])));
  }
}

TEST(MerkleVectors, ConsistencyProofs) {
  const Tree tree = Eight();
  for (const Proof& proof : kConsistency) {
    const std::vector<Digest> path = Hashes(proof.path);
    EXPECT_THAT(tree.Consistency(proof.first, proof.size), ElementsAreArray(path));
    EXPECT_TRUE(VerifyConsistency(proof.first, proof.size, Hash(kRoots[proof.first]),
                                  Hash(kRoots[proof.size]), path));
  }
}

// The published proofs of the same implementations that must not hold.
TEST(MerkleVectors, ProofsThatMustNotHold) {
  const Digest one = LeafHash(""), other = LeafHash("other");
  EXPECT_FALSE(VerifyInclusion(one, 0, 0, {}, EmptyRoot()));
  EXPECT_FALSE(VerifyInclusion(one, 0, 0, {}, one));
  EXPECT_FALSE(VerifyInclusion(one, 1, 0, {}, one));
  EXPECT_FALSE(VerifyInclusion(one, 1, 1, {}, one));
  EXPECT_FALSE(VerifyInclusion(one, 0, 1, {one}, one));
  EXPECT_FALSE(VerifyInclusion(other, 0, 1, {}, one));
  EXPECT_FALSE(VerifyInclusion(one, ~uint64_t{0}, ~uint64_t{0}, {}, one));
  EXPECT_FALSE(VerifyInclusion(one, ~uint64_t{0} - 1, ~uint64_t{0}, {}, one));

  EXPECT_TRUE(VerifyConsistency(0, 0, EmptyRoot(), EmptyRoot(), {}));
  EXPECT_FALSE(VerifyConsistency(0, 0, one, other, {}));
  EXPECT_TRUE(VerifyConsistency(0, 1, EmptyRoot(), one, {}));
  EXPECT_FALSE(VerifyConsistency(0, 1, EmptyRoot(), one, {one}));
  EXPECT_FALSE(VerifyConsistency(0, 1, other, one, {}));
  EXPECT_FALSE(VerifyConsistency(1, 0, one, EmptyRoot(), {}));
  EXPECT_FALSE(VerifyConsistency(1, 1, one, other, {}));
  EXPECT_FALSE(VerifyConsistency(1, 1, one, one, {one}));
  EXPECT_FALSE(VerifyConsistency(2, 1, one, one, {}));
  EXPECT_FALSE(VerifyConsistency(1, 2, one, one, {}));
  EXPECT_FALSE(VerifyConsistency(3, 5, one, one, {}));
}

}  // namespace
}  // namespace basalt::merkle
