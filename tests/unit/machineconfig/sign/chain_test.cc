#include <string>
#include <vector>

#include "machineconfig/sign/policy.h"
#include "tests/unit/machineconfig/sign/chain_testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

TEST(Chain, AChainOfOneIsSignedByItsOwnRoot) {
  auto chain = VerifyChain(Chain({Version(1)}));
  ASSERT_TRUE(chain.ok()) << chain.status();
  EXPECT_EQ(chain->policy.version(), 1);
  EXPECT_EQ(chain->policy.root().threshold(), 1);
  EXPECT_EQ(chain->first, DocumentDigest(chain->chain.policies(0)));
  EXPECT_THAT(VerifyChain(Chain({Version(1).Signed({"alice"})})).status(),
              HasReason("too-few-signers"));
  EXPECT_THAT(VerifyChain(Chain({Version(1).Signed({"mallory"})})).status(),
              HasReason("bad-signature"));
  EXPECT_THAT(VerifyChain({}).status(), HasReason("empty-chain"));
}

TEST(Chain, ANewRuleIsForTheNewVersionAndNotForItsHistory) {
  const Version old = Version(1).RefusedToday();
  EXPECT_THAT(VerifyChain(Chain({old})).status(), HasReason("invalid-config"));
  EXPECT_TRUE(VerifyChain(Chain({old}), ChainAge::kAccepted).ok());
  EXPECT_TRUE(VerifyChain(Chain({old, Version(2)})).ok());
  EXPECT_FALSE(VerifyChain(Chain({Version(1), Version(2).RefusedToday()})).ok());
  // What the policy rests on is looked at in either case.
  EXPECT_FALSE(VerifyChain(Chain({Version(1).Root({"nobody"})}), ChainAge::kAccepted).ok());
}

TEST(Chain, S8_ANewVersionNeedsTheOldRootAndItsOwn) {
  // root → root2
  const Version rotated = Version(2).Root({"root2"});
  EXPECT_TRUE(VerifyChain(Chain({Version(1), rotated.Signed({"root", "root2"})})).ok())
      << VerifyChain(Chain({Version(1), rotated.Signed({"root", "root2"})})).status();
  EXPECT_THAT(VerifyChain(Chain({Version(1), rotated.Signed({"root"})})).status(),
              HasReason("too-few-signers"));
  EXPECT_THAT(VerifyChain(Chain({Version(1), rotated.Signed({"root2"})})).status(),
              HasReason("too-few-signers"));
  // Then only root2 goes on.
  const Version third = Version(3).Root({"root2"});
  const Version second = rotated.Signed({"root", "root2"});
  EXPECT_TRUE(VerifyChain(Chain({Version(1), second, third.Signed({"root2"})})).ok());
  EXPECT_FALSE(VerifyChain(Chain({Version(1), second, third.Signed({"root"})})).ok());
}

TEST(Chain, S8_ARevokedRootSignsItsOwnRetirementAndNothingAfter) {
  const Version retired = Version(2).Root({"root2"}).Revoked({"root"}).Signed({"root", "root2"});
  auto chain = VerifyChain(Chain({Version(1), retired}));
  ASSERT_TRUE(chain.ok()) << chain.status();
  const Version later = Version(3).Root({"root2"}).Revoked({"root"}).Signed({"root", "root2"});
  EXPECT_THAT(VerifyChain(Chain({Version(1), retired, later})).status(), HasReason("revoked-key"));
  EXPECT_TRUE(VerifyChain(Chain({Version(1), retired, later.Signed({"root2"})})).ok());
}

TEST(Chain, S7_ARootThresholdCountsDistinctKeys) {
  const Version two = Version(1).Root({"root", "root2"}, 2);
  EXPECT_TRUE(VerifyChain(Chain({two.Signed({"root", "root2"})})).ok());
  EXPECT_THAT(VerifyChain(Chain({two.Signed({"root"})})).status(), HasReason("too-few-signers"));
  EXPECT_THAT(VerifyChain(Chain({two.Signed({"root", "alice"})})).status(),
              HasReason("too-few-signers"));
  EXPECT_THAT(VerifyChain(Chain({two.Signed({"root", "root"})})).status(),
              HasReason("duplicate-signer"));
}

TEST(Chain, VersionsEpochAndClusterFollowEachOther) {
  EXPECT_THAT(VerifyChain(Chain({Version(2)})).status(), HasReason("broken-chain"));
  EXPECT_THAT(VerifyChain(Chain({Version(1), Version(3)})).status(), HasReason("broken-chain"));
  EXPECT_THAT(VerifyChain(Chain({Version(1), Version(1)})).status(), HasReason("broken-chain"));
  EXPECT_THAT(VerifyChain(Chain({Version(1).Epoch(2), Version(2).Epoch(1)})).status(),
              HasReason("broken-chain"));
  EXPECT_TRUE(VerifyChain(Chain({Version(1).Epoch(2), Version(2).Epoch(3)})).ok());
  EXPECT_THAT(VerifyChain(Chain({Version(1), Version(2).Cluster("office")})).status(),
              HasReason("broken-chain"));
  EXPECT_THAT(VerifyChain(Chain({Version(2), Version(1)})).status(), HasReason("broken-chain"));
}

TEST(Chain, ADocumentOfAnotherTypeOrShapeIsRefused) {
  v1::TrustChain chain = Chain({Version(1)});
  chain.mutable_policies(0)->set_type(v1::DOCUMENT_TYPE_ACTION);
  EXPECT_THAT(VerifyChain(chain).status(), HasReason("wrong-type"));
  chain = Chain({Version(1).Signed({})});
  EXPECT_THAT(VerifyChain(chain).status(), HasReason("no-signatures"));
}

TEST(Chain, AKeyOfRootInAGrantMakesThePolicyInvalid) {
  EXPECT_FALSE(VerifyChain(Chain({Version(1).Granted({"alice", "root"})})).ok());
  // The same public key under a second name and in another form.
  std::string twin = Base64Encode("Ed12345678" + Key("root").public_key().raw());
  absl::Status status =
      VerifyChain(Chain({Version(1).ExtraKey("twin", twin).Granted({"alice", "twin"})})).status();
  EXPECT_THAT(status, HasReason("invalid-policy"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("same public key"));
}

TEST(Chain, APolicyThatNobodyCouldFollowIsRefused) {
  EXPECT_FALSE(VerifyChain(Chain({Version(1).Root({"root", "root2"}, 3)})).ok());
  EXPECT_FALSE(VerifyChain(Chain({Version(1).Root({"nobody"})})).ok());
  EXPECT_FALSE(VerifyChain(Chain({Version(1).Revoked({"root"})})).ok());
}

TEST(Chain, S1_AnyChangedByteBreaksTheChain) {
  const std::string good =
      Chain({Version(1), Version(2).Root({"root2"}).Signed({"root", "root2"})}).SerializeAsString();
  int accepted = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bytes = good;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << (i % 8)));
    v1::TrustChain chain;
    // A flip that turns the list's own tag into an unknown field shortens the chain, which a node
    // that has the second version refuses as older.
    if (!chain.ParseFromString(bytes) || chain.policies_size() < 2) continue;
    accepted += VerifyChain(chain).ok();
  }
  EXPECT_EQ(accepted, 0);
}

class Extend : public ::testing::Test {
 protected:
  VerifiedChain Verified(const std::vector<Version>& versions) {
    auto chain = VerifyChain(Chain(versions));
    EXPECT_TRUE(chain.ok()) << chain.status();
    return chain.ok() ? *chain : VerifiedChain{};
  }
  const Version one_ = Version(1);
  const Version two_ = Version(2).Root({"root2"}).Signed({"root", "root2"});
  const Version three_ = Version(3).Root({"root2"}).Epoch(2).Signed({"root2"});
};

TEST_F(Extend, TakesAWholeChainOrItsNewEnd) {
  const VerifiedChain current = Verified({one_});
  for (const auto& update : {Chain({one_, two_, three_}), Chain({two_, three_})}) {
    auto next = ExtendChain(current, update);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_EQ(next->policy.version(), 3);
    EXPECT_EQ(next->policy.epoch(), 2);
    EXPECT_EQ(next->first, current.first);
    EXPECT_EQ(next->chain.policies_size(), 3);
    EXPECT_TRUE(VerifyChain(next->chain).ok());
  }
  EXPECT_EQ(ExtendChain(Verified({one_, two_}), Chain({two_, three_}))->policy.version(), 3);
}

TEST_F(Extend, AnEqualChainChangesNothing) {
  const VerifiedChain current = Verified({one_, two_});
  for (const auto& update : {Chain({one_, two_}), Chain({two_})}) {
    auto next = ExtendChain(current, update);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_EQ(next->chain.SerializeAsString(), current.chain.SerializeAsString());
  }
}

TEST_F(Extend, S2_AnOlderChainIsRefused) {
  const VerifiedChain current = Verified({one_, two_, three_});
  EXPECT_THAT(ExtendChain(current, Chain({one_})).status(), HasReason("older-chain"));
  EXPECT_THAT(ExtendChain(current, Chain({one_, two_})).status(), HasReason("older-chain"));
  EXPECT_THAT(ExtendChain(current, Chain({two_})).status(), HasReason("older-chain"));
  EXPECT_THAT(ExtendChain(current, {}).status(), HasReason("empty-chain"));
}

TEST_F(Extend, S8_AnotherOwnersChainIsForeign) {
  const VerifiedChain current = Verified({one_});
  const Version stranger = Version(1).Key("thief").Root({"thief"}).Signed({"thief"});
  ASSERT_TRUE(VerifyChain(Chain({stranger})).ok());
  EXPECT_THAT(ExtendChain(current, Chain({stranger})).status(), HasReason("foreign-chain"));
  // One that begins like ours and then goes its own way.
  const Version fork = Version(2).Epoch(5).Signed({"root"});
  EXPECT_THAT(ExtendChain(Verified({one_, two_}), Chain({one_, fork})).status(),
              HasReason("foreign-chain"));
  // A successor that only its own root signed.
  const Version usurper = Version(2).Key("thief").Root({"thief"}).Signed({"thief"});
  EXPECT_FALSE(ExtendChain(current, Chain({one_, usurper})).ok());
  EXPECT_FALSE(ExtendChain(current, Chain({usurper})).ok());
}

TEST_F(Extend, AGapIsRefused) {
  EXPECT_FALSE(ExtendChain(Verified({one_}), Chain({three_})).ok());
  EXPECT_FALSE(ExtendChain(Verified({one_}), Chain({one_, three_})).ok());
}

TEST_F(Extend, S1_AChangedSuccessorIsABadSignatureNotAForeignChain) {
  v1::TrustChain update = Chain({two_});
  update.mutable_policies(0)->set_payload(update.policies(0).payload() + "\n");
  EXPECT_THAT(ExtendChain(Verified({one_}), update).status(), HasReason("bad-signature"));
}

// What a stranger can make the node compute is bounded by what is refused before: 16 signatures.
TEST_F(Extend, AForeignListOfSignaturesIsRefusedForItsLengthBeforeAnyIsTried) {
  v1::TrustChain update = Chain({Version(1).Key("thief").Root({"thief"}).Signed({"thief"})});
  for (int i = 0; i < kMaxSignatures; ++i) {
    v1::Signature* more = update.mutable_policies(0)->add_signatures();
    more->set_scheme(v1::SIGNATURE_SCHEME_DSSE);
    more->set_signature(std::string(64, static_cast<char>(i)));
  }
  EXPECT_THAT(ExtendChain(Verified({one_}), update).status(), HasReason("too-many-signatures"));
}

}  // namespace
}  // namespace basalt::sign
