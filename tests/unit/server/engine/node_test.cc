// The life of an apply, seen from the API, with real signatures.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/coded_status.h"
#include "machineconfig/sign/document.h"
#include "server/engine/generation_store.h"
#include "server/engine/journal.h"
#include "tests/support/controller/engine_harness.h"

namespace basalt::engine {
namespace {

using basalt::testing::ConfigOptions;
using basalt::testing::EngineHarness;

class NodeTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(h.Start().ok()); }
  EngineHarness h;
};

TEST_F(NodeTest, CommitsAFirstConfigThatGetsHealthy) {
  auto watcher = h.Apply({.generation = 1});
  ASSERT_TRUE(watcher->error.ok()) << watcher->error;
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(watcher->last().error_code(), "");
  EXPECT_TRUE(watcher->Saw(v1::APPLY_STATE_PLANNED));
  EXPECT_TRUE(watcher->Saw(v1::APPLY_STATE_EXECUTING));
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
  EXPECT_EQ(h.MachineStatus().stage(), "running");
  EXPECT_TRUE(h.MachineStatus().ready());
}

TEST_F(NodeTest, ANodeOnAnInstallMediumSaysThatNothingIsKept) {
  h.adjust = [](engine::NodeDeps& deps) { deps.installer = true; };
  ASSERT_TRUE(h.Start().ok());
  bool said = false;
  const v1::MachineStatus status = h.MachineStatus();
  for (const v1::Condition& condition : status.conditions()) {
    said |= condition.type() == "Installer" && condition.holds() && condition.alarm();
  }
  EXPECT_TRUE(said);
  EXPECT_EQ(status.stage(), "maintenance") << "it is well, and of use";
}

TEST_F(NodeTest, ACommittedApplyCostsFourFsyncsAndAtRestNothingIsWritten) {
  for (int generation = 1; generation <= 3; ++generation) {
    auto before = h.vfs.counters();
    auto watcher = h.Apply(
        {.generation = generation, .version = "v1.30." + std::to_string(generation) + "+k3s1"});
    ASSERT_EQ(watcher->last().state(), v1::APPLY_STATE_COMMITTED);
    EXPECT_EQ(h.vfs.counters().fsyncs - before.fsyncs, 4);
  }
  auto before = h.vfs.counters();
  h.executor->Advance(absl::Hours(24));
  h.controller->Changed();
  h.executor->RunUntilIdle();
  EXPECT_EQ(h.vfs.counters().operations, before.operations);
}

TEST_F(NodeTest, TheRunningDocumentAgainIsASuccessThatWritesNothing) {
  v1::SignedDocument document = h.Sign({.generation = 1});
  h.Apply(document);
  auto before = h.vfs.counters();
  int changes = h.world.changes;
  auto watcher = h.Apply(document);
  ASSERT_TRUE(watcher->over());
  EXPECT_TRUE(watcher->last().unchanged());
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(h.vfs.counters().operations, before.operations);
  EXPECT_EQ(h.world.changes, changes);
}

TEST_F(NodeTest, TheSameMeaningIsCommittedWithoutTouchingAController) {
  h.Apply({.generation = 1});
  int changes = h.world.changes;
  auto watcher = h.Apply({.generation = 2});
  ASSERT_TRUE(watcher->error.ok()) << watcher->error;
  EXPECT_TRUE(watcher->last().unchanged());
  EXPECT_FALSE(watcher->Saw(v1::APPLY_STATE_EXECUTING));
  EXPECT_EQ(h.ActiveGeneration(), 2);
  EXPECT_EQ(h.world.changes, changes);
}

TEST_F(NodeTest, AConditionThatHeldAndFailsTakesTheNodeBackAndBarsTheDocument) {
  h.Apply({.generation = 1});
  h.world.unhealthy.insert("v1.31.0+k3s1");
  v1::SignedDocument bad = h.Sign({.generation = 2, .version = "v1.31.0+k3s1"});
  auto watcher = h.Apply(bad);
  EXPECT_FALSE(watcher->over());  // it is given time
  h.executor->Advance(absl::Seconds(119));
  EXPECT_FALSE(watcher->over());
  h.executor->Advance(absl::Seconds(2));
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_REVERTED);
  EXPECT_EQ(watcher->last().error_code(), "k3s-not-ready");
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_EQ(api::Reason(h.Apply(bad)->error), "barred-digest");
}

// The node is still on its way back up: that is no licence for the next bad config.
TEST_F(NodeTest, ASecondBadConfigRightAfterARevertGoesBackToo) {
  h.Apply({.generation = 1});
  h.world.unhealthy = {"v1.31.0+k3s1", "v1.32.0+k3s1"};
  auto first = h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  h.world.unhealthy.insert("v1.30.4+k3s1");  // the good one takes its time
  h.executor->Advance(absl::Seconds(121));
  ASSERT_EQ(first->last().state(), v1::APPLY_STATE_REVERTED);
  auto second = h.Apply({.generation = 3, .version = "v1.32.0+k3s1"});
  h.executor->Advance(absl::Seconds(121));
  EXPECT_EQ(second->last().state(), v1::APPLY_STATE_REVERTED);
  EXPECT_EQ(h.ActiveGeneration(), 1);
}

TEST_F(NodeTest, ABadConfigRightAfterABootGoesBackToo) {
  h.Apply({.generation = 1});
  h.Reboot();
  h.world.unhealthy = {"v1.30.4+k3s1", "v1.31.0+k3s1"};
  ASSERT_TRUE(h.Start().ok());
  auto bad = h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  h.executor->Advance(absl::Seconds(121));
  EXPECT_EQ(bad->last().state(), v1::APPLY_STATE_REVERTED);
  EXPECT_EQ(h.ActiveGeneration(), 1);
}

TEST_F(NodeTest, AConditionThatNeverHeldIsAwaitedAndThenSaidWithTheCommit) {
  h.world.unhealthy.insert("v1.30.4+k3s1");
  auto watcher = h.Apply({.generation = 1});
  EXPECT_FALSE(watcher->over());
  h.executor->Advance(absl::Seconds(121));
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(watcher->last().error_code(), "k3s-not-ready");
  ASSERT_EQ(watcher->last().conditions_size(), 1);
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_EQ(h.MachineStatus().stage(), "degraded");
}

TEST_F(NodeTest, AHopelessConditionIsNotWaitedFor) {
  h.Apply({.generation = 1});
  h.world.hopeless.insert("v1.31.0+k3s1");
  auto watcher = h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_REVERTED);
}

// Bytes that are not what a digest says are DataLoss, and no word about this disk.
TEST_F(NodeTest, AnArtifactWithOtherBytesDoesNotMakeTheNodeIll) {
  h.Apply({.generation = 1});
  h.controller->prepare_result =
      api::Coded(absl::StatusCode::kDataLoss, "artifact-digest-mismatch", "other bytes");
  auto watcher = h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_EQ(h.MachineStatus().stage(), "running");
  EXPECT_FALSE(h.HasCondition("StateNotDurable"));
}

TEST_F(NodeTest, AFailedDownloadLeavesTheNodeAndDoesNotBarTheDocument) {
  h.Apply({.generation = 1});
  v1::SignedDocument next = h.Sign({.generation = 2, .version = "v1.31.0+k3s1"});
  h.controller->prepare_result =
      api::Coded(absl::StatusCode::kUnavailable, "download-failed", "no route");
  auto watcher = h.Apply(next);
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(watcher->last().error_code(), "download-failed");
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
  h.controller->prepare_result = absl::OkStatus();
  EXPECT_EQ(h.Apply(next)->last().state(), v1::APPLY_STATE_COMMITTED);
}

TEST_F(NodeTest, S2_AnOlderGenerationIsRefusedAlsoAfterARestart) {
  v1::SignedDocument old = h.Sign({.generation = 1});
  h.Apply(old);
  h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  EXPECT_EQ(api::Reason(h.Apply(old)->error), "below-floor");
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(api::Reason(h.Apply(old)->error), "below-floor");
  h.clock.SetNow(h.clock.Now() - absl::Hours(24 * 300));
  EXPECT_EQ(api::Reason(h.Apply(old)->error), "below-floor");
}

TEST_F(NodeTest, ARuleOfANewerReleaseDoesNotTakeAwayWhatRuns) {
  ASSERT_EQ(h.Apply(ConfigOptions{.generation = 1})->last().state(), v1::APPLY_STATE_COMMITTED);
  const std::string today = absl::StrCat("  reason: ", std::string(2000, 'x'), "\n");
  ConfigOptions options{.generation = 2, .extra_metadata = today};
  EXPECT_EQ(api::Reason(h.Apply(options)->error), "invalid-config");
  h.Kill();
  // As a release that did not have that rule left it.
  stored::StoredGeneration generation;
  *generation.mutable_document() = h.Sign(options);
  generation.set_trust_version(1);
  stored::Record record;
  stored::Entry& entry = *record.mutable_ended();
  entry.set_digest(sign::DocumentDigest(generation.document()).Hex());
  entry.set_epoch(1);
  entry.set_generation(2);
  entry.set_state(v1::APPLY_STATE_COMMITTED);
  *generation.mutable_entry() = entry;
  ASSERT_TRUE(GenerationStore(h.vfs, "state/generations").Put(generation).ok());
  auto journal = Journal::Open(h.vfs, "state/journal");
  ASSERT_TRUE(journal.ok() && journal->Write(record, true).ok());
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 2);
  EXPECT_FALSE(h.HasCondition("GenerationDamaged"));
  v1::GetConfigRequest request;
  EXPECT_TRUE(h.node->GetConfig(request).ok());
}

TEST_F(NodeTest, D15_TheLastGenerationIsRefusedWithAHint) {
  auto watcher = h.Apply({.generation = INT64_MAX});
  EXPECT_EQ(api::Reason(watcher->error), "generation-too-far");
  EXPECT_NE(api::Hint(watcher->error), "");
  EXPECT_EQ(h.ConfigStatus().floor_generation(), 0);
}

TEST_F(NodeTest, ADocumentForAnotherMachineIsRefused) {
  auto watcher = h.Apply({.generation = 1, .machine_id = std::string(64, '0')});
  EXPECT_EQ(api::Reason(watcher->error), "wrong-target");
}

TEST_F(NodeTest, AStrangerHearsOneCodeForEveryFaultOfASignature) {
  v1::SignedDocument document = h.Sign({.generation = 1});
  document.set_payload(document.payload() + "#");
  h.operator_caller = {.peer = "10.0.0.1:5"};
  EXPECT_EQ(api::Reason(h.Apply(document)->error), "bad-signature");
  document.clear_signatures();
  EXPECT_EQ(api::Reason(h.Apply(document)->error), "bad-signature");
}

TEST_F(NodeTest, AnIdempotencyKeyBelongsToOneDocument) {
  v1::ApplyRequest request;
  request.set_idempotency_key("k1");
  h.Apply(h.Sign({.generation = 1}), request);
  EXPECT_EQ(api::Reason(h.Apply(h.Sign({.generation = 2}), request)->error),
            "idempotency-key-reused");
}

TEST_F(NodeTest, AFullPoolIsBusy) {
  h.executor->pool_full = true;
  EXPECT_EQ(api::Reason(h.Apply({.generation = 1})->error), "busy");
}

TEST_F(NodeTest, DryRunShowsThePlanAndPersistsNothing) {
  h.Apply({.generation = 1});
  auto before = h.vfs.counters();
  v1::ApplyRequest request;
  request.set_dry_run(true);
  auto watcher = h.Apply(h.Sign({.generation = 2, .version = "v1.31.0+k3s1"}), request);
  ASSERT_TRUE(watcher->over());
  EXPECT_GT(watcher->last().plan().changes_size(), 0);
  EXPECT_EQ(watcher->last().plan().effect(), v1::EFFECT_RESTART_K3S);
  EXPECT_EQ(h.vfs.counters().operations, before.operations);
}

constexpr char kMachineSections[] =
    "system:\n  kernel: {sysctls: {vm.swappiness: 10}, arguments: [quiet]}\n"
    "network:\n  interfaces: [{name: eth0, dhcp4: true}]\n"
    "storage:\n  zram: {percent: 50}\n"
    "audit:\n  sinks: [{name: a, endpoint: \"https://a.example.org/\"}]\n";

TEST_F(NodeTest, APlanNamesEachSectionThatThePlatformCannotApply) {
  v1::ApplyRequest request;
  request.set_dry_run(true);
  auto watcher = h.Apply(h.Sign({.generation = 1, .sections = kMachineSections}), request);
  ASSERT_TRUE(watcher->over());
  ASSERT_TRUE(watcher->error.ok()) << watcher->error;
  const v1::PlanReply& plan = watcher->last().plan();
  std::map<std::string, const v1::PlannedStep*> steps;
  for (const v1::PlannedStep& step : plan.steps()) {
    if (!step.unimplemented().empty()) steps[step.controller()] = &step;
  }
  EXPECT_EQ(steps.size(), 4u);
  for (const char* section : {"system", "network", "storage", "audit"}) {
    ASSERT_TRUE(steps.count(section)) << section;
    EXPECT_THAT(steps[section]->description(), ::testing::HasSubstr(section));
  }
  EXPECT_EQ(steps["network"]->unimplemented(), "the sandbox has no machine of its own");
  EXPECT_EQ(steps["system"]->effect(), v1::EFFECT_REBOOT);  // of its kernel arguments
  EXPECT_EQ(plan.effect(), v1::EFFECT_REBOOT);
}

TEST_F(NodeTest, WhatThePlatformCannotApplyIsRefusedBeforeAnythingChanges) {
  h.Apply({.generation = 1});
  auto before = h.vfs.counters();
  const int changes = h.world.changes;
  auto watcher = h.Apply({.generation = 2, .sections = kMachineSections});
  EXPECT_EQ(watcher->error.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(api::Reason(watcher->error), "unimplemented-on-platform");
  EXPECT_EQ(api::Hint(watcher->error),
            "leave `network`, `storage`, `system`, `audit` out of the config of this node");
  EXPECT_EQ(h.vfs.counters().operations, before.operations);
  EXPECT_EQ(h.world.changes, changes);
  EXPECT_EQ(h.ActiveGeneration(), 1);
  // It barred nothing: the next document is as good as before.
  EXPECT_EQ(h.Apply({.generation = 3, .version = "v1.31.0+k3s1"})->last().state(),
            v1::APPLY_STATE_COMMITTED);
}

TEST_F(NodeTest, HelloSaysWhichSectionsCannotBeApplied) {
  const v1::HelloReply hello = h.node->Hello(h.operator_caller);
  EXPECT_EQ(hello.unimplemented().size(), 4u);
  EXPECT_EQ(hello.unimplemented().count("k3s"), 0u);
  EXPECT_EQ(hello.unimplemented().at("audit"), "this release of noded keeps no audit log");
}

TEST_F(NodeTest, ResetTakesEverythingButTrustAndFloorAndIsObeyedOnce) {
  h.Apply({.generation = 7});
  std::string text =
      "apiVersion: basalt/v1\nkind: Action\ncluster: home\nepoch: 1\ntarget:\n  machineId: " +
      h.node->Hello({}).machine_id() + "\nverb: reset\nsignedAt: " +
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", h.clock.Now(), absl::UTCTimeZone()) + "\nnotAfter: " +
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", h.clock.Now() + absl::Hours(1), absl::UTCTimeZone()) +
      "\n";
  v1::ApplyActionRequest request;
  *request.mutable_document() = h.SignText(v1::DOCUMENT_TYPE_ACTION, text, h.config_key);
  absl::Status result = absl::UnknownError("no reply");
  auto reply = [&](absl::StatusOr<v1::ApplyActionReply> r) { result = r.status(); };
  h.node->ApplyAction(h.operator_caller, request, reply);
  h.executor->RunUntilIdle();
  ASSERT_TRUE(result.ok()) << result;
  EXPECT_EQ(h.ActiveGeneration(), 0);
  EXPECT_EQ(h.world.running, "");
  EXPECT_EQ(h.world.erased, 1);
  EXPECT_EQ(h.node->Hello({}).floor_generation(), 7);
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.node->Hello({}).floor_generation(), 7);
  EXPECT_EQ(h.node->Hello({}).state(), "no-config");
  EXPECT_EQ(h.node->Hello({}).condition(), "");
  h.node->ApplyAction(h.operator_caller, request, reply);
  h.executor->RunUntilIdle();
  EXPECT_EQ(api::Reason(result), "action-used");
}

TEST_F(NodeTest, TheOneWhoOrdersAResetKeepsTheConnectionUntilTheAnswerIsOut) {
  h.Apply({.generation = 7});
  std::string text =
      "apiVersion: basalt/v1\nkind: Action\ncluster: home\nepoch: 1\ntarget:\n  machineId: " +
      h.node->Hello({}).machine_id() + "\nverb: reset\nsignedAt: " +
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", h.clock.Now(), absl::UTCTimeZone()) + "\nnotAfter: " +
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", h.clock.Now() + absl::Hours(1), absl::UTCTimeZone()) +
      "\n";
  v1::ApplyActionRequest request;
  *request.mutable_document() = h.SignText(v1::DOCUMENT_TYPE_ACTION, text, h.config_key);
  size_t switches = h.policies.size();
  size_t at_the_reply = 0;
  h.node->ApplyAction(h.operator_caller, request, [&](absl::StatusOr<v1::ApplyActionReply> r) {
    EXPECT_TRUE(r.ok()) << r.status();
    at_the_reply = h.policies.size();
  });
  h.executor->RunUntilIdle();
  EXPECT_EQ(at_the_reply, switches);
  h.executor->Advance(absl::Seconds(2));
  ASSERT_EQ(h.policies.size(), switches + 1);
  EXPECT_FALSE(h.policies.back().configured);
}

TEST_F(NodeTest, APolicyOfTheRootIsTakenOnceAndTheSameAgainIsUnchanged) {
  auto version = [&](int number, const sign::PrivateKey& signer) {
    auto indented = [](const sign::PrivateKey& key) {
      std::string out = "      ";
      for (char c : key.public_key().Pem()) out += c == '\n' ? "\n      " : std::string(1, c);
      return out;
    };
    return h.SignText(
        v1::DOCUMENT_TYPE_TRUST_POLICY,
        "apiVersion: basalt/v1\nkind: TrustPolicy\ncluster: home\nepoch: 1\nversion: " +
            std::to_string(number) + "\nkeys:\n  - name: root\n    publicKey: |\n" +
            indented(h.root_key) + "\n  - name: config\n    publicKey: |\n" +
            indented(h.config_key) +
            "\nroot:\n  keys: [root]\ngrants:\n  - for: machineconfig\n    keys: "
            "[config]\n  - for: action\n    keys: [config]\n",
        signer);
  };
  absl::StatusOr<v1::ApplyTrustReply> got = absl::UnknownError("no reply");
  auto send = [&](const std::vector<v1::SignedDocument>& policies) {
    v1::ApplyTrustRequest request;
    for (const v1::SignedDocument& policy : policies) {
      *request.mutable_chain()->add_policies() = policy;
    }
    got = absl::UnknownError("no reply");
    h.node->ApplyTrust(h.operator_caller, request,
                       [&](absl::StatusOr<v1::ApplyTrustReply> r) { got = std::move(r); });
    h.executor->RunUntilIdle();
  };
  const v1::SignedDocument first = version(1, h.root_key);
  send({first, version(2, h.root_key)});
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->version(), 2);
  EXPECT_FALSE(got->unchanged());
  send({first, version(2, h.root_key)});
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(got->unchanged());
  send({first, version(2, h.root_key), version(3, h.config_key)});
  EXPECT_FALSE(got.ok());
  EXPECT_EQ(h.ConfigStatus().trust_version(), 2);
}

TEST_F(NodeTest, FollowingALogLosesAndRepeatsNothingWhileTheServiceWritesOn) {
  host::ServiceSpec spec;
  spec.name = "k3s";
  spec.argv = {"k3s"};
  spec.exec_fd.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(h.supervisor->Start(std::move(spec)).ok());
  h.supervisor->Write("k3s", "line 0\n");
  std::string followed;
  uint64_t offset = 0;
  for (int i = 1; i <= 20; ++i) {
    h.supervisor->written_after_output = "line " + std::to_string(i) + "\n";
    h.node->Logs({.service = "k3s", .from_offset = offset, .max_bytes = 1000},
                 [&](absl::StatusOr<NodeApi::LogChunk> chunk) {
                   ASSERT_TRUE(chunk.ok()) << chunk.status();
                   followed += chunk->data;
                   offset = chunk->next_offset;
                 });
    h.executor->RunUntilIdle();
  }
  std::string wanted;
  for (int i = 0; i < 20; ++i) wanted += "line " + std::to_string(i) + "\n";
  EXPECT_EQ(followed, wanted);
}

TEST_F(NodeTest, HistoryAndConfigAreKeptAndRedacted) {
  h.Apply({.generation = 1});
  h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  ASSERT_TRUE(h.Start().ok());
  v1::HistoryReply history = *h.node->History({});
  ASSERT_EQ(history.generations_size(), 2);
  EXPECT_EQ(history.generations(0).generation(), 2);
  EXPECT_TRUE(history.generations(0).active());
  v1::GetConfigRequest request;
  request.set_generation(1);
  auto config = h.node->GetConfig(request);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->yaml().find("0123456789abcdef"), std::string::npos);
  EXPECT_NE(config->yaml().find("v1.30.4+k3s1"), std::string::npos);
}

}  // namespace
}  // namespace basalt::engine
