// The life of a document that was signed as part of a set: the same as of one that was signed
// alone.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/config_set.h"
#include "machineconfig/sign/document.h"
#include "server/engine/generation_store.h"
#include "tests/support/controller/engine_harness.h"

namespace basalt::engine {
namespace {

using basalt::testing::ConfigOptions;
using basalt::testing::EngineHarness;

class NodeSetTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(h.Start().ok()); }

  // This node's file, signed together with those of two others.
  v1::SignedDocument InSet(const ConfigOptions& options, const std::string& cluster = "home") {
    return InSetBy({&h.config_key}, options, cluster);
  }
  v1::SignedDocument InSetBy(const std::vector<const sign::PrivateKey*>& keys,
                             const ConfigOptions& options, const std::string& cluster = "home") {
    ConfigOptions other = options;
    other.machine_id = std::string(64, '1');
    const std::string first = h.Yaml(other), own = h.Yaml(options);
    other.machine_id = std::string(64, '2');
    const std::string last = h.Yaml(other);
    sign::NewSet made = sign::MakeSet(cluster, {first, own, last});
    for (const sign::PrivateKey* key : keys) sign::AddSignature(made.set, *key);
    others_ = {sign::MemberOf(made.set, made.proofs[0], first),
               sign::MemberOf(made.set, made.proofs[2], last)};
    return sign::MemberOf(made.set, made.proofs[1], own);
  }

  absl::StatusOr<v1::PlanReply> Plan(const v1::SignedDocument& document) {
    absl::StatusOr<v1::PlanReply> out = absl::UnknownError("no reply");
    v1::PlanRequest request;
    *request.mutable_signed_() = document;
    h.node->Plan(h.operator_caller, request,
                 [&](absl::StatusOr<v1::PlanReply> reply) { out = std::move(reply); });
    h.executor->RunUntilIdle();
    return out;
  }

  std::vector<v1::SignedDocument> others_;
  EngineHarness h;
};

TEST_F(NodeSetTest, APartOfASetIsPlannedCommittedAndInTheHistoryWithItsSigners) {
  const v1::SignedDocument document = InSet({.generation = 1});
  auto plan = Plan(document);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->digest(), sign::DocumentDigest(document).ToString());
  auto watcher = h.Apply(document);
  ASSERT_TRUE(watcher->error.ok()) << watcher->error;
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_COMMITTED);
  const v1::HistoryReply history = *h.node->History({});
  ASSERT_EQ(history.generations_size(), 1);
  ASSERT_EQ(history.generations(0).signers_size(), 1);
  EXPECT_EQ(history.generations(0).signers(0), "config");
  EXPECT_TRUE(absl::StrContains(plan->digest(), history.generations(0).digest()))
      << history.generations(0).digest();
}

TEST_F(NodeSetTest, TheSameFileSignedAloneIsTheSameDocument) {
  h.Apply(InSet({.generation = 1}));
  auto before = h.vfs.counters();
  auto alone = h.Apply(ConfigOptions{.generation = 1});
  ASSERT_TRUE(alone->over()) << alone->error;
  EXPECT_TRUE(alone->last().unchanged());
  EXPECT_EQ(h.vfs.counters().operations, before.operations);
}

TEST_F(NodeSetTest, ItIsVerifiedAgainAtEachStartAndTakenBackTo) {
  h.Apply(InSet({.generation = 1}));
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_FALSE(h.HasCondition("GenerationDamaged"));
  EXPECT_FALSE(h.HasCondition("SignedByRevokedKey"));
  h.world.unhealthy.insert("v1.31.0+k3s1");
  auto bad = h.Apply(InSet({.generation = 2, .version = "v1.31.0+k3s1"}));
  h.executor->Advance(absl::Seconds(121));
  EXPECT_EQ(bad->last().state(), v1::APPLY_STATE_REVERTED);
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
}

TEST_F(NodeSetTest, AStagedPartOfASetPassesItsChecksAgainAtTheBoot) {
  h.Apply(InSet({.generation = 1}));
  h.Apply(InSet(
      {.generation = 2, .version = "v1.31.0+k3s1", .extra_metadata = "  apply: {mode: staged}\n"}));
  EXPECT_EQ(h.ConfigStatus().staged_generation(), 2);
  h.Reboot();
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 2);
}

// The checksum of a stored generation is no signature: whoever can write it can write both.
TEST_F(NodeSetTest, D8_AStoredProofThatDoesNotHoldIsNotBelieved) {
  h.Apply(InSet({.generation = 1}));
  const v1::SignedDocument next = InSet({.generation = 2, .version = "v1.31.0+k3s1"});
  h.Apply(next);
  ASSERT_EQ(h.ActiveGeneration(), 2);
  h.Kill();
  GenerationStore store(h.vfs, "state/generations");
  auto stored = store.Load(sign::DocumentDigest(next).Hex());
  ASSERT_TRUE(stored.ok()) << stored.status();
  stored->mutable_document()->mutable_set_proof()->set_index(0);
  ASSERT_TRUE(store.Put(*stored).ok());
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_TRUE(h.HasCondition("GenerationDamaged"));
}

TEST_F(NodeSetTest, S4_TheFileOfAnotherNodeInTheSetIsRefused) {
  InSet({.generation = 1});
  for (const v1::SignedDocument& other : others_) {
    EXPECT_EQ(api::Reason(h.Apply(other)->error), "wrong-target");
  }
  EXPECT_EQ(api::Reason(h.Apply(InSet({.generation = 1}, "away"))->error), "wrong-cluster");
  EXPECT_EQ(api::Reason(h.Apply(sign::SetOf(others_[0]))->error), "wrong-type");
}

TEST_F(NodeSetTest, S3_AGenerationFarAheadNeedsRootUnderTheSetToo) {
  const int64_t far = 20991231000000;
  EXPECT_EQ(api::Reason(h.Apply(InSet({.generation = far}))->error), "generation-too-far");
  auto cosigned = h.Apply(InSetBy({&h.config_key, &h.root_key}, {.generation = far}));
  EXPECT_TRUE(cosigned->error.ok()) << cosigned->error;
  EXPECT_EQ(h.ActiveGeneration(), far);
  // Root alone may change nothing, also not a whole fleet.
  EXPECT_EQ(api::Reason(h.Apply(InSetBy({&h.root_key}, {.generation = far + 1}))->error),
            "too-few-signers");
}

TEST_F(NodeSetTest, S18_AStrangerHearsOneAnswerForEveryFaultOfASet) {
  const v1::SignedDocument good = InSet({.generation = 1});
  std::vector<v1::SignedDocument> bad(9, good);
  bad[0].mutable_set_proof()->set_index(2);
  bad[1].mutable_set_proof()->clear_path();
  bad[2].set_payload(bad[2].payload() + "#");
  bad[3].clear_signatures();
  bad[4].mutable_set_proof()->set_set_payload("garbage");
  bad[5].clear_set_proof();
  bad[6] = InSet({.generation = 1}, "away");
  bad[7] = sign::SetOf(good);
  bad[8].mutable_set_proof()->set_path(0, "short");
  h.operator_caller = {.peer = "10.0.0.1:5"};
  std::string first;
  for (const v1::SignedDocument& document : bad) {
    const absl::Status status = h.Apply(document)->error;
    const std::string text = absl::StrCat(status.ToString(), "|", api::Hint(status));
    EXPECT_EQ(api::Reason(status), "bad-signature");
    if (first.empty()) first = text;
    EXPECT_EQ(text, first);
  }
}

}  // namespace
}  // namespace basalt::engine
