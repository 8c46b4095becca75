#include "machineconfig/sign/next_policy.h"

#include <gmock/gmock.h>

#include "tests/unit/machineconfig/sign/chain_testing.h"

namespace basalt::sign {
namespace {

using ::testing::IsEmpty;

VerifiedChain Current(const Version& version) {
  auto chain = VerifyChain(Chain({version}));
  EXPECT_TRUE(chain.ok()) << chain.status();
  return chain.ok() ? *chain : VerifiedChain{};
}

v1::SignedDocument Document(const Version& version) { return Chain({version}).policies(0); }

bool Extends(const VerifiedChain& current, const v1::SignedDocument& next) {
  v1::TrustChain update;
  *update.add_policies() = next;
  return ExtendChain(current, update).ok();
}

TEST(NextPolicy, S8_SaysWhoHasToSignYetAndAgreesWithTheChain) {
  const VerifiedChain current = Current(Version(1));
  const Version rotated = Version(2).Root({"root2"});
  struct Case {
    std::vector<std::string> signers;
    bool before, own;
  };
  for (const Case& c : {Case{{}, false, false}, Case{{"root"}, true, false},
                        Case{{"root2"}, false, true}, Case{{"root", "root2"}, true, true}}) {
    const v1::SignedDocument document = Document(rotated.Signed(c.signers));
    auto next = CheckNext(current, document);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_EQ(next->before.met(), c.before);
    EXPECT_EQ(next->own.met(), c.own);
    EXPECT_EQ(next->complete(), Extends(current, document));
    EXPECT_EQ(next->before.open,
              c.before ? std::vector<std::string>{} : std::vector<std::string>{"root"});
    EXPECT_EQ(next->own.signed_by.empty(), !c.own);
  }
}

TEST(NextPolicy, S7_AThresholdOfRootCountsDistinctKeys) {
  const VerifiedChain current =
      Current(Version(1).Root({"root", "root2"}, 2).Signed({"root", "root2"}));
  const Version two = Version(2).Root({"root", "root2"}, 2);
  auto one = CheckNext(current, Document(two.Signed({"root"})));
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->before.have, 1);
  EXPECT_FALSE(one->complete());
  EXPECT_THAT(CheckNext(current, Document(two.Signed({"root", "root"}))).status(),
              HasReason("duplicate-signer"));
  // Whoever has a grant signs nothing of root's.
  auto granted = CheckNext(current, Document(two.Signed({"root", "alice"})));
  ASSERT_TRUE(granted.ok());
  EXPECT_EQ(granted->before.have, 1);
}

TEST(NextPolicy, S8_WhatDoesNotFollowIsRefused) {
  const VerifiedChain current = Current(Version(1).Epoch(2));
  EXPECT_THAT(CheckNext(current, Document(Version(3).Epoch(2))).status(),
              HasReason("broken-chain"));
  EXPECT_THAT(CheckNext(current, Document(Version(1).Epoch(2))).status(),
              HasReason("broken-chain"));
  EXPECT_THAT(CheckNext(current, Document(Version(2).Epoch(1))).status(),
              HasReason("broken-chain"));
  EXPECT_THAT(CheckNext(current, Document(Version(2).Epoch(2).Cluster("office"))).status(),
              HasReason("broken-chain"));
  EXPECT_THAT(CheckNext(current, Document(Version(2).Epoch(2).Signed({"mallory"}))).status(),
              HasReason("bad-signature"));
  EXPECT_FALSE(CheckNext(current, Document(Version(2).Epoch(2).RefusedToday())).ok());
  EXPECT_TRUE(
      CheckNext(current, Document(Version(2).Epoch(2).RefusedToday()), ChainAge::kAccepted).ok());
}

TEST(NextPolicy, S8_ARevokedKeySignsItsOwnRetirementAndNothingAfter) {
  const Version retired = Version(2).Root({"root2"}).Revoked({"root"});
  const VerifiedChain first = Current(Version(1));
  const v1::SignedDocument second = Document(retired.Signed({"root", "root2"}));
  ASSERT_TRUE(CheckNext(first, second).ok());
  v1::TrustChain update;
  *update.add_policies() = second;
  const VerifiedChain current = *ExtendChain(first, update);
  const Version third = Version(3).Root({"root2"}).Revoked({"root"});
  EXPECT_THAT(CheckNext(current, Document(third.Signed({"root", "root2"}))).status(),
              HasReason("revoked-key"));
  auto good = CheckNext(current, Document(third.Signed({"root2"})));
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_TRUE(good->complete());
  EXPECT_THAT(good->before.open, IsEmpty());
}

TEST(NextPolicy, AnotherTypeIsNoPolicy) {
  v1::SignedDocument document = Document(Version(2));
  document.set_type(v1::DOCUMENT_TYPE_ACTION);
  EXPECT_THAT(CheckNext(Current(Version(1)), document).status(), HasReason("wrong-type"));
  document.clear_signatures();
  EXPECT_THAT(CheckNext(Current(Version(1)), document).status(), HasReason("wrong-type"));
}

}  // namespace
}  // namespace basalt::sign
