#include "client/commands/trust_edit.h"

#include <gmock/gmock.h>

#include "api/coded_status.h"
#include "client/commands/trust_words.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/sshsig.h"

namespace basalt::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string NewKey() { return sign::PrivateKey::GenerateEd25519().public_key().Pem(); }

// root alone; a grant for everything and one for actions, both of config.
v1::TrustPolicy Policy() {
  v1::TrustPolicy policy;
  policy.set_api_version("basalt/v1");
  policy.set_kind("TrustPolicy");
  policy.set_cluster("home");
  policy.set_epoch(1);
  policy.set_version(1);
  EXPECT_TRUE(AddKey(policy, "root", NewKey()).ok());
  EXPECT_TRUE(AddKey(policy, "config", NewKey()).ok());
  EXPECT_TRUE(AddRoot(policy, "root", 1).ok());
  EXPECT_TRUE(AddGrant(policy, {.for_what = "machineconfig", .keys = {"config"}}).ok());
  EXPECT_TRUE(AddGrant(policy, {.for_what = "action", .keys = {"config"}}).ok());
  EXPECT_TRUE(CheckPolicy(policy).ok()) << CheckPolicy(policy);
  return policy;
}

std::vector<std::string> Whats(const v1::TrustPolicy& from, const v1::TrustPolicy& to) {
  std::vector<std::string> out;
  for (const PolicyChange& change : PolicyChanges(from, to)) {
    out.push_back(std::string(1, change.kind) + " " + change.what.substr(0, 60));
  }
  return out;
}

TEST(TrustEdit, TheNextPolicyIsACopyWithTheNextVersion) {
  const v1::TrustPolicy policy = Policy();
  const v1::TrustPolicy next = NextOf(policy);
  EXPECT_EQ(next.version(), 2);
  EXPECT_THAT(Whats(policy, next), IsEmpty());
}

TEST(TrustEdit, AKeyHasOneNameAndANameOneKey) {
  v1::TrustPolicy policy = Policy();
  EXPECT_EQ(api::Reason(AddKey(policy, "config", NewKey())), "key-exists");
  const std::string key = policy.keys(1).public_key();
  EXPECT_EQ(api::Reason(AddKey(policy, "other", key)), "key-exists");
  EXPECT_EQ(api::Reason(AddKey(policy, "other", "no key")), "bad-key");
  EXPECT_EQ(policy.keys_size(), 2);
}

TEST(TrustEdit, ARevokedKeyLeavesEveryPlaceAndStaysListed) {
  v1::TrustPolicy policy = Policy();
  ASSERT_TRUE(AddKey(policy, "alice", NewKey()).ok());
  ASSERT_TRUE(AddGrant(policy, {.for_what = "machineconfig", .keys = {"alice", "config"}}).ok());
  ASSERT_TRUE(RevokeKey(policy, "alice", 0).ok());
  EXPECT_TRUE(CheckPolicy(policy).ok()) << CheckPolicy(policy);
  EXPECT_TRUE(IsRevoked(policy, "alice"));
  EXPECT_NE(FindKey(policy, "alice"), nullptr);
  EXPECT_THAT(policy.grants(2).keys(), ElementsAre("config"));
  EXPECT_EQ(api::Reason(RevokeKey(policy, "alice", 0)), "revoked-key");
  EXPECT_EQ(api::Reason(AddGrant(policy, {.for_what = "image", .keys = {"alice"}})), "revoked-key");
  EXPECT_EQ(api::Reason(AddKey(policy, "alice", NewKey())), "key-exists");
}

TEST(TrustEdit, S8_WhatWouldLockTheOwnerOutIsRefusedWithTheWayAround) {
  v1::TrustPolicy policy = Policy();
  absl::Status grant = RevokeKey(policy, "config", 0);
  EXPECT_EQ(api::Reason(grant), "threshold-unmet");
  EXPECT_THAT(std::string(grant.message()), HasSubstr("grant 1 (config may change everything"));
  EXPECT_THAT(api::Hint(grant), HasSubstr("nodectl trust rotate config"));

  policy = Policy();
  absl::Status root = RevokeKey(policy, "root", 0);
  EXPECT_EQ(api::Reason(root), "threshold-unmet");
  EXPECT_THAT(std::string(root.message()), HasSubstr("nobody could ever sign a next version"));

  policy = Policy();
  ASSERT_TRUE(AddKey(policy, "root-b", NewKey()).ok());
  ASSERT_TRUE(AddRoot(policy, "root-b", 2).ok());
  EXPECT_THAT(api::Hint(RevokeKey(policy, "root-b", 0)), HasSubstr("--threshold 1"));
  policy = Policy();
  ASSERT_TRUE(AddKey(policy, "root-b", NewKey()).ok());
  ASSERT_TRUE(AddRoot(policy, "root-b", 2).ok());
  EXPECT_TRUE(RevokeKey(policy, "root-b", 1).ok());
  EXPECT_TRUE(CheckPolicy(policy).ok()) << CheckPolicy(policy);
}

TEST(TrustEdit, ARotatedKeyTakesEveryPlaceOfTheOldOne) {
  v1::TrustPolicy policy = Policy();
  EXPECT_EQ(NextName(policy, "config"), "config-2");
  ASSERT_TRUE(RotateKey(policy, "config", "config-2", NewKey()).ok());
  EXPECT_EQ(NextName(policy, "config-2"), "config-3");
  EXPECT_TRUE(CheckPolicy(policy).ok()) << CheckPolicy(policy);
  for (const v1::Grant& grant : policy.grants()) EXPECT_THAT(grant.keys(), ElementsAre("config-2"));
  ASSERT_TRUE(RotateKey(policy, "root", "root-2", NewKey()).ok());
  EXPECT_THAT(policy.root().keys(), ElementsAre("root-2"));
  EXPECT_THAT(policy.revoked(), ElementsAre("config", "root"));
  EXPECT_EQ(api::Reason(RotateKey(policy, "confg-2", "x", NewKey())), "unknown-key");
  EXPECT_EQ(api::Hint(RotateKey(policy, "confg-2", "x", NewKey())), "did you mean `config-2`?");
}

TEST(TrustEdit, AGrantNamesUsableKeysThatAreNotRoot) {
  v1::TrustPolicy policy = Policy();
  EXPECT_EQ(api::Reason(AddGrant(policy, {.for_what = "action", .keys = {"root"}})),
            "root-in-grant");
  EXPECT_EQ(api::Reason(AddGrant(policy, {.for_what = "action", .keys = {"nobody"}})),
            "unknown-key");
  EXPECT_EQ(api::Reason(AddGrant(
                policy, {.for_what = "machineconfig", .keys = {"config"}, .labels = {"site"}})),
            "usage");
  EXPECT_EQ(api::Reason(RemoveGrant(policy, 3)), "unknown-grant");
  EXPECT_EQ(api::Reason(RemoveGrant(policy, 0)), "unknown-grant");
  ASSERT_TRUE(RemoveGrant(policy, 1).ok());
  EXPECT_EQ(policy.grants(0).for_(), "action");
}

TEST(TrustEdit, S3_TheEpochOnlyRises) {
  v1::TrustPolicy policy = Policy();
  ASSERT_TRUE(RaiseEpoch(policy, 0).ok());
  EXPECT_EQ(policy.epoch(), 2);
  ASSERT_TRUE(RaiseEpoch(policy, 7).ok());
  EXPECT_EQ(api::Reason(RaiseEpoch(policy, 7)), "epoch-not-higher");
  EXPECT_EQ(api::Hint(RaiseEpoch(policy, 1)), "nodectl trust epoch 8");
}

TEST(TrustWords, AGrantIsASentence) {
  v1::Grant grant;
  grant.set_for_("machineconfig");
  grant.add_keys("alice");
  EXPECT_EQ(GrantWords(grant), "alice may change everything in machine configs");
  grant.add_keys("bob");
  grant.set_threshold(2);
  grant.add_paths("k3s.config");
  (*grant.mutable_labels())["site"] = "lab";
  EXPECT_EQ(GrantWords(grant),
            "2 of alice, bob may change k3s.config in machine configs of nodes with site=lab");
  v1::Grant action;
  action.set_for_("breakglass");
  action.add_keys("oncall");
  action.add_verbs("clusterReset");
  EXPECT_EQ(GrantWords(action), "oncall may order clusterReset in an emergency");
}

TEST(TrustWords, WhatANextVersionChangesIsTold) {
  const v1::TrustPolicy policy = Policy();
  v1::TrustPolicy next = NextOf(policy);
  ASSERT_TRUE(AddKey(next, "alice", NewKey()).ok());
  ASSERT_TRUE(RemoveGrant(next, 1).ok());
  ASSERT_TRUE(
      AddGrant(next, {.for_what = "machineconfig", .keys = {"config", "alice"}, .threshold = 2})
          .ok());
  next.set_epoch(2);
  EXPECT_THAT(Whats(policy, next),
              ElementsAre(HasSubstr("~ epoch: 1 -> 2"), HasSubstr("+ key alice: ed25519 "),
                          "- grant: config may change everything in machine configs",
                          HasSubstr("+ grant: 2 of config, alice may change everything")));
}

TEST(TrustWords, AKeyThatNeedsNoTouchAnyMoreIsAChange) {
  const auto key = sign::PublicKey::Parse(NewKey());
  v1::TrustPolicy policy = Policy();
  policy.mutable_keys(1)->set_public_key(sign::PublicKeyText(key->OnSecurityKey("ssh:")));
  EXPECT_EQ(KeyForm(policy.keys(1).public_key()), "openssh");
  v1::TrustPolicy next = NextOf(policy);
  next.mutable_keys(1)->set_public_key(key->Pem());
  const std::string line = "config: ed25519 " + key->id().Hex();
  EXPECT_EQ(PolicyChanges(policy, next).at(0).what,
            "key " + line + " on a security key (ssh:) -> " + line);
}

// The examples of https://arxiv.org/html/0901.4016.
TEST(TrustWords, FingerprintsAreProquints) {
  Digest digest;
  digest.bytes = {127, 0, 0, 1, 63, 84, 220, 193, 63, 118, 7, 35, 140, 98, 193, 141};
  EXPECT_EQ(FingerprintWords(digest), "lusab-babad-gutih-tugad-gutuk-bisog-mudof-sakat");
}

}  // namespace
}  // namespace basalt::client
