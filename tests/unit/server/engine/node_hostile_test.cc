// What an ill-meaning caller, a bad moment or a bad disk could make of an apply.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/coded_status.h"
#include "tests/support/controller/engine_harness.h"

namespace basalt::engine {
namespace {

using basalt::testing::DiskOp;
using basalt::testing::EngineHarness;

class HostileTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(h.Start().ok()); }

  absl::Status Return(uint64_t connection, const std::string& token) {
    absl::Status result = absl::UnknownError("no reply");
    Caller caller = h.operator_caller;
    caller.connection = connection;
    v1::ReturnRequest request;
    request.set_token(token);
    h.node->Return(caller, request,
                   [&](absl::StatusOr<v1::ReturnReply> reply) { result = reply.status(); });
    h.executor->RunUntilIdle();
    return result;
  }

  v1::ApplyActionRequest ResetOrder() {
    auto time = [](absl::Time t) {
      return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", t, absl::UTCTimeZone());
    };
    v1::ApplyActionRequest request;
    *request.mutable_document() = h.SignText(
        v1::DOCUMENT_TYPE_ACTION,
        absl::StrCat("apiVersion: basalt/v1\nkind: Action\ncluster: home\nepoch: 1\ntarget:\n",
                     "  machineId: ", h.node->Hello({}).machine_id(),
                     "\nverb: reset\nsignedAt: ", time(h.clock.Now()),
                     "\nnotAfter: ", time(h.clock.Now() + absl::Hours(1)), "\n"),
        h.config_key);
    return request;
  }

  std::string FileOf(int64_t generation) const {
    for (const std::string& file : h.vfs.AllFiles()) {
      if (absl::StrContains(file, absl::StrCat("/1-", generation, "-"))) return file;
    }
    return "";
  }

  EngineHarness h;
};

TEST_F(HostileTest, AReturnOverAConnectionThatJoinedBeforeTheChangeProvesNothing) {
  h.Apply({.generation = 1});
  v1::SignedDocument next = h.Sign({.generation = 2, .api = "  anonymousDelivery: true\n"});
  h.controller->hold_execute = true;
  h.Apply(next);
  h.operator_caller.connection = 2;
  auto joined = h.Apply(next);
  h.controller->hold_execute = false;
  auto held = std::move(h.controller->held_execute);
  held(absl::OkStatus());
  h.executor->RunUntilIdle();
  std::string token = joined->last().return_token();
  ASSERT_NE(token, "");
  EXPECT_EQ(api::Reason(Return(2, token)), "same-connection");
  EXPECT_EQ(api::Reason(Return(1, token)), "same-connection");
  EXPECT_TRUE(Return(3, token).ok());
  EXPECT_EQ(h.ActiveGeneration(), 2);
}

TEST_F(HostileTest, WhoCameBackNeedNotDoSoAgainWhenNodedIsReplaced) {
  h.Apply({.generation = 1});
  h.world.unhealthy.insert("v1.31.0+k3s1");  // it takes its time
  auto watcher =
      h.Apply({.generation = 2, .version = "v1.31.0+k3s1", .api = "  anonymousDelivery: true\n"});
  ASSERT_TRUE(Return(2, watcher->last().return_token()).ok());
  ASSERT_TRUE(h.Start().ok());
  h.world.unhealthy.clear();
  h.controller->Changed();
  h.executor->RunUntilIdle();
  EXPECT_EQ(h.ActiveGeneration(), 2);
}

TEST_F(HostileTest, ComingBackToAnApplyThatIsGoingBackIsNoSuccess) {
  h.Apply({.generation = 1});
  auto watcher = h.Apply({.generation = 2, .api = "  anonymousDelivery: true\n"});
  std::string token = watcher->last().return_token();
  h.controller->execute_results = {absl::InternalError("broken")};
  h.executor->Advance(absl::Minutes(2) + absl::Seconds(1));
  ASSERT_TRUE(h.HasCondition("RevertFailed"));
  EXPECT_EQ(api::Reason(Return(3, token)), "no-return-awaited");
}

TEST_F(HostileTest, TheSameMeaningAgainDoesNotHideWhatIsNotTrue) {
  h.Apply({.generation = 1});
  h.execute_results.assign(9, absl::InternalError("the artifact is gone"));
  ASSERT_TRUE(h.Start().ok());
  EXPECT_TRUE(h.Apply({.generation = 2})->last().unchanged());
  EXPECT_EQ(h.ActiveGeneration(), 2);
  EXPECT_TRUE(h.HasCondition("NotConverged"));
}

TEST_F(HostileTest, ARevertThatFailsHasStillGivenTheApiBack) {
  h.Apply({.generation = 1});
  h.Apply({.generation = 2, .api = "  anonymousDelivery: true\n"});
  ASSERT_TRUE(h.policies.back().api.anonymous_delivery());
  h.controller->execute_results.assign(3, absl::InternalError("broken"));
  h.executor->Advance(absl::Minutes(2) + absl::Seconds(1));
  ASSERT_TRUE(h.HasCondition("RevertFailed"));
  EXPECT_FALSE(h.policies.back().api.anonymous_delivery());
}

TEST_F(HostileTest, ADocumentThatFailsAgainAndAgainDoesNotFillTheDisk) {
  h.Apply({.generation = 1});
  v1::SignedDocument next = h.Sign({.generation = 2, .version = "v1.31.0+k3s1"});
  h.controller->prepare_result =
      api::Coded(absl::StatusCode::kUnavailable, "download-failed", std::string(2000, 'x'));
  h.operator_caller = {.peer = "10.0.0.1:5", .connection = 9};
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(h.Apply(next)->last().error_code(), "download-failed");
  }
  EXPECT_LT(h.vfs.Read("state/journal")->size(), (256 << 10) + 8192);
}

TEST_F(HostileTest, ADamagedStagedDocumentDoesNotKeepTheCommittedOneFromStarting) {
  h.Apply({.generation = 1});
  h.Apply(
      {.generation = 2, .version = "v1.31.0+k3s1", .extra_metadata = "  apply: {mode: staged}\n"});
  h.vfs.Corrupt(FileOf(2), "rotten");
  h.Reboot();
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
  EXPECT_EQ(h.ConfigStatus().staged_generation(), 0);
}

TEST_F(HostileTest, WhatIsSentWhileTheNodeIsResetIsRefusedAndNotHalfKept) {
  h.Apply({.generation = 1});
  h.controller->hold_execute = true;
  absl::Status reset = absl::UnknownError("no reply");
  h.node->ApplyAction(h.operator_caller, ResetOrder(),
                      [&](absl::StatusOr<v1::ApplyActionReply> r) { reset = r.status(); });
  h.executor->RunUntilIdle();
  v1::SignedDocument next = h.Sign({.generation = 2, .version = "v1.31.0+k3s1"});
  EXPECT_EQ(api::Reason(h.Apply(next)->error), "resetting");
  h.controller->hold_execute = false;
  auto held = std::move(h.controller->held_execute);
  held(absl::OkStatus());
  h.executor->RunUntilIdle();
  ASSERT_TRUE(reset.ok()) << reset;
  EXPECT_EQ(h.Apply(next)->last().state(), v1::APPLY_STATE_COMMITTED);
  h.Reboot();
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 2);
}

TEST_F(HostileTest, S2_AFullDiskAtASecondTryDoesNotLowerTheFloor) {
  h.Apply({.generation = 1});
  v1::SignedDocument middle = h.Sign({.generation = 4, .version = "v1.29.0+k3s1"});
  v1::SignedDocument next = h.Sign({.generation = 5, .version = "v1.31.0+k3s1"});
  // Accepted, and the power goes before the journal says so.
  h.controller->hold_prepare = true;
  h.Apply(next);
  h.PowerCut(basalt::testing::CutMode::kDropAll, 0);
  ASSERT_TRUE(h.Start().ok());
  ASSERT_EQ(h.ConfigStatus().floor_generation(), 5);
  h.vfs.FailAllWrites(absl::ResourceExhaustedError("full"));
  EXPECT_FALSE(h.Apply(next)->error.ok());
  h.vfs.ClearFaults();
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ConfigStatus().floor_generation(), 5);
  EXPECT_EQ(api::Reason(h.Apply(middle)->error), "below-floor");
}

// A share is a source's, however many addresses it has: the listener says what a source is.
TEST_F(HostileTest, S17_AWholePrefixHasOneShareOfTheChecks) {
  Caller caller;
  caller.source = "2001:db8::/64";
  std::vector<std::shared_ptr<basalt::testing::RecordingWatcher>> watchers;
  auto send = [&](const std::string& source, const std::string& peer) {
    caller.source = source;
    caller.peer = peer;
    v1::ApplyRequest request;
    *request.mutable_document() = h.Sign({.generation = 1});
    watchers.push_back(std::make_shared<basalt::testing::RecordingWatcher>());
    h.node->Apply(caller, request, watchers.back());
    return api::Reason(watchers.back()->error);
  };
  for (int i = 1; i <= 4; ++i) {
    EXPECT_EQ(send("2001:db8::/64", absl::StrCat("[2001:db8::", i, "]:1")), "");
  }
  EXPECT_EQ(send("2001:db8::/64", "[2001:db8::5]:1"), "busy");
  EXPECT_EQ(send("2001:db8:0:1::/64", "[2001:db8:0:1::1]:1"), "");
  h.executor->RunUntilIdle();
  EXPECT_EQ(send("2001:db8::/64", "[2001:db8::5]:1"), "");
  h.executor->RunUntilIdle();
}

TEST_F(HostileTest, S6_AResetTakesTheGenerationsAndNotTheFloorOfTheClock) {
  h.Apply({.generation = 1});
  v1::ApplyActionRequest undelivered = ResetOrder();  // good for an hour
  h.clock.Advance(absl::Hours(72));
  absl::Status reset = absl::UnknownError("no reply");
  auto reply = [&](absl::StatusOr<v1::ApplyActionReply> r) { reset = r.status(); };
  h.node->ApplyAction(h.operator_caller, ResetOrder(), reply);
  h.executor->RunUntilIdle();
  ASSERT_TRUE(reset.ok()) << reset;
  // A board without a clock starts in the past.
  h.Reboot();
  h.clock.SetNow(h.clock.Now() - absl::Hours(72));
  h.clock.synced = false;
  ASSERT_TRUE(h.Start().ok());
  h.node->ApplyAction(h.operator_caller, undelivered, reply);
  h.executor->RunUntilIdle();
  EXPECT_EQ(api::Reason(reset), "expired");
}

TEST_F(HostileTest, S20_AStagedDocumentOfASignerRevokedSinceIsNotObeyedAtTheNextBoot) {
  h.Apply({.generation = 1});
  auto staged = h.Apply(
      {.generation = 2, .version = "v1.31.0+k3s1", .extra_metadata = "  apply: {mode: staged}\n"});
  ASSERT_EQ(staged->last().state(), v1::APPLY_STATE_STAGED);
  sign::PrivateKey successor = sign::PrivateKey::GenerateEd25519();
  std::string text =
      "apiVersion: basalt/v1\nkind: TrustPolicy\ncluster: home\nepoch: 1\nversion: 2\nkeys:\n";
  for (const auto& [name, key] :
       {std::pair<const char*, const sign::PrivateKey*>{"root", &h.root_key},
        {"config", &h.config_key},
        {"next", &successor}}) {
    absl::StrAppend(&text, "  - name: ", name, "\n    publicKey: |\n      ",
                    absl::StrReplaceAll(key->public_key().Pem(), {{"\n", "\n      "}}), "\n");
  }
  text +=
      "root:\n  keys: [root]\ngrants:\n  - {for: machineconfig, keys: [next]}\n"
      "revoked: [config]\n";
  v1::ApplyTrustRequest request;
  *request.mutable_chain()->add_policies() =
      h.SignText(v1::DOCUMENT_TYPE_TRUST_POLICY, text, h.root_key);
  absl::Status taken = absl::UnknownError("no reply");
  h.node->ApplyTrust(h.operator_caller, request,
                     [&](absl::StatusOr<v1::ApplyTrustReply> r) { taken = r.status(); });
  h.executor->RunUntilIdle();
  ASSERT_TRUE(taken.ok()) << taken;
  h.Reboot();
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
  EXPECT_TRUE(h.HasCondition("SignedByRevokedKey"));
}

}  // namespace
}  // namespace basalt::engine
