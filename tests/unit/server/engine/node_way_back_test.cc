// The ways back, and what is not decided yet: try, staged, cancelled, superseded, reverted.
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

class NodeWayBackTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(h.Start().ok()); }
  EngineHarness h;
};

TEST_F(NodeWayBackTest, TryGoesBackWithoutAConfirmation) {
  h.Apply({.generation = 1});
  auto watcher = h.Apply({.generation = 2,
                          .version = "v1.31.0+k3s1",
                          .extra_metadata = "  apply: {mode: try, confirmWithin: 5m}\n"});
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_AWAITING_CONFIRM);
  EXPECT_TRUE(watcher->last().has_deadline());
  h.executor->Advance(absl::Minutes(5) + absl::Seconds(1));
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(watcher->last().error_code(), "no-confirm");
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
}

TEST_F(NodeWayBackTest, TryIsKeptWhenConfirmed) {
  h.Apply({.generation = 1});
  auto watcher = h.Apply({.generation = 2,
                          .version = "v1.31.0+k3s1",
                          .extra_metadata = "  apply: {mode: try, confirmWithin: 5m}\n"});
  int64_t confirmed = 0;
  h.node->Confirm(h.operator_caller, {},
                  [&](absl::StatusOr<v1::ConfirmReply> reply) { confirmed = reply->generation(); });
  h.executor->RunUntilIdle();
  EXPECT_EQ(confirmed, 2);
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_COMMITTED);
  h.executor->Advance(absl::Hours(1));
  EXPECT_EQ(h.ActiveGeneration(), 2);
}

TEST_F(NodeWayBackTest, WhatFailedWhileItWaitedIsNotConfirmed) {
  h.Apply({.generation = 1});
  auto watcher = h.Apply({.generation = 2,
                          .version = "v1.31.0+k3s1",
                          .extra_metadata = "  apply: {mode: try, confirmWithin: 5m}\n"});
  ASSERT_EQ(watcher->last().state(), v1::APPLY_STATE_AWAITING_CONFIRM);
  absl::Status answer;
  auto confirm = [&] {
    h.node->Confirm(h.operator_caller, {},
                    [&](absl::StatusOr<v1::ConfirmReply> reply) { answer = reply.status(); });
    h.executor->RunUntilIdle();
  };
  h.world.unhealthy.insert("v1.31.0+k3s1");
  confirm();
  EXPECT_EQ(api::Reason(answer), "not-healthy");
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_AWAITING_CONFIRM);
  h.world.unhealthy.clear();
  confirm();
  EXPECT_TRUE(answer.ok()) << answer;
  EXPECT_EQ(h.ActiveGeneration(), 2);
}

TEST_F(NodeWayBackTest, D13_AnUnconfirmedTryIsRevertedByAReboot) {
  h.Apply({.generation = 1});
  h.Apply({.generation = 2,
           .version = "v1.31.0+k3s1",
           .extra_metadata = "  apply: {mode: try, confirmWithin: 1h}\n"});
  h.PowerCut(basalt::testing::CutMode::kDropAll, 0);
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
  EXPECT_EQ(h.ConfigStatus().pending_generation(), 0);
}

TEST_F(NodeWayBackTest, AwaitingConfirmGoesOnAfterNodedWasReplaced) {
  h.Apply({.generation = 1});
  v1::SignedDocument next = h.Sign({.generation = 2,
                                    .version = "v1.31.0+k3s1",
                                    .extra_metadata = "  apply: {mode: try, confirmWithin: 5m}\n"});
  h.Apply(next);
  ASSERT_TRUE(h.Start().ok());
  auto watcher = h.Apply(next);  // attaches
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_AWAITING_CONFIRM);
  EXPECT_EQ(h.world.running, "v1.31.0+k3s1");
  h.executor->Advance(absl::Minutes(6));
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(watcher->last().error_code(), "no-confirm");
}

TEST_F(NodeWayBackTest, StagedWaitsForTheNextBoot) {
  h.Apply({.generation = 1});
  auto watcher = h.Apply(
      {.generation = 2, .version = "v1.31.0+k3s1", .extra_metadata = "  apply: {mode: staged}\n"});
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_STAGED);
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_EQ(h.ConfigStatus().staged_generation(), 2);
  h.Reboot();
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 2);
  EXPECT_EQ(h.world.running, "v1.31.0+k3s1");
}

TEST_F(NodeWayBackTest, AChangeOfTheApiNeedsTheCallerToComeBack) {
  h.Apply({.generation = 1});
  v1::SignedDocument next = h.Sign({.generation = 2, .api = "  anonymousDelivery: true\n"});
  auto watcher = h.Apply(next);
  ASSERT_EQ(watcher->last().state(), v1::APPLY_STATE_VERIFYING);
  std::string token = watcher->last().return_token();
  ASSERT_NE(token, "");
  absl::Status result;
  auto back = [&](uint64_t connection, const std::string& what) {
    Caller caller = h.operator_caller;
    caller.connection = connection;
    v1::ReturnRequest request;
    request.set_token(what);
    h.node->Return(caller, request,
                   [&](absl::StatusOr<v1::ReturnReply> reply) { result = reply.status(); });
    h.executor->RunUntilIdle();
  };
  back(2, "no such token");
  EXPECT_EQ(api::Reason(result), "unknown-token");
  back(1, token);
  EXPECT_EQ(api::Reason(result), "same-connection");
  EXPECT_FALSE(watcher->over());
  back(2, token);
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_TRUE(h.node->api_policy().api.anonymous_delivery());
}

// An address that goes takes the caller's connection with it, before anything else can be said.
TEST_F(NodeWayBackTest, BeforeTheExecuteTheCallerIsToldWhereTheApiWillBe) {
  h.Apply({.generation = 1});
  auto watcher = h.Apply(h.Sign({.generation = 2, .api = "  anonymousDelivery: true\n"}));
  int executing = 0;
  for (const v1::ApplyEvent& event : watcher->events) {
    if (event.state() != v1::APPLY_STATE_EXECUTING) continue;
    ++executing;
    ASSERT_EQ(event.return_endpoints_size(), 1);
    EXPECT_EQ(event.return_endpoints(0), "127.0.0.1:2");
    EXPECT_EQ(event.return_token(), "");
  }
  EXPECT_EQ(executing, 1);
}

TEST_F(NodeWayBackTest, NobodyComingBackTakesTheApiBack) {
  h.Apply({.generation = 1});
  auto watcher = h.Apply({.generation = 2, .api = "  anonymousDelivery: true\n"});
  h.executor->Advance(absl::Minutes(2) + absl::Seconds(1));
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(watcher->last().error_code(), "no-return");
  ASSERT_FALSE(h.policies.empty());
  EXPECT_FALSE(h.policies.back().api.anonymous_delivery());
}

TEST_F(NodeWayBackTest, ASecondDocumentIsRefusedUnlessAnOperatorSupersedes) {
  h.Apply({.generation = 1});
  auto first = h.Apply(
      {.generation = 2, .version = "v1.31.0+k3s1", .extra_metadata = "  apply: {mode: try}\n"});
  v1::SignedDocument other = h.Sign({.generation = 3, .version = "v1.32.0+k3s1"});
  EXPECT_EQ(api::Reason(h.Apply(other)->error), "pending");
  v1::ApplyRequest supersede;
  supersede.set_supersede(true);
  Caller admin = h.operator_caller;
  h.operator_caller.roles = {v1::ROLE_DELIVER};
  EXPECT_EQ(api::Reason(h.Apply(other, supersede)->error), "supersede-needs-operator");
  h.operator_caller = admin;
  auto second = h.Apply(other, supersede);
  ASSERT_TRUE(first->over());
  EXPECT_EQ(first->last().error_code(), "superseded");
  ASSERT_TRUE(second->error.ok()) << second->error;
  EXPECT_EQ(second->last().state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(h.ActiveGeneration(), 3);
}

TEST_F(NodeWayBackTest, CancelWhileExecutingGoesBackAfterIt) {
  h.Apply({.generation = 1});
  h.controller->hold_execute = true;
  auto watcher = h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_EXECUTING);
  h.node->Cancel(h.operator_caller, {}, [](absl::StatusOr<v1::CancelReply> reply) {
    EXPECT_TRUE(reply.ok()) << reply.status();
  });
  h.executor->RunUntilIdle();
  h.controller->hold_execute = false;
  auto held = std::move(h.controller->held_execute);
  held(absl::OkStatus());
  h.executor->RunUntilIdle();
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(watcher->last().error_code(), "cancelled");
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
}

TEST_F(NodeWayBackTest, ARevertThatFailsIsTriedAgain) {
  h.Apply({.generation = 1});
  h.controller->execute_results = {absl::InternalError("broken"), absl::InternalError("again")};
  auto watcher = h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  ASSERT_TRUE(watcher->over());
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_REVERT_FAILED);
  EXPECT_TRUE(h.HasCondition("RevertFailed"));
  h.executor->Advance(absl::Minutes(1));
  EXPECT_FALSE(h.HasCondition("RevertFailed"));
  EXPECT_EQ(h.ConfigStatus().pending_generation(), 0);
}

TEST_F(NodeWayBackTest, ARevertThatFailsForEverIsADegradedNodeThatANewDocumentMends) {
  h.Apply({.generation = 1});
  h.controller->execute_results.assign(50, absl::InternalError("broken"));
  auto watcher = h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  ASSERT_EQ(watcher->last().state(), v1::APPLY_STATE_REVERT_FAILED);
  h.executor->Advance(absl::Minutes(20));
  EXPECT_TRUE(h.HasCondition("RevertFailed"));
  EXPECT_EQ(h.MachineStatus().stage(), "degraded");
  v1::SignedDocument next = h.Sign({.generation = 3, .version = "v1.32.0+k3s1"});
  EXPECT_EQ(api::Reason(h.Apply(next)->error), "pending");
  h.controller->execute_results.clear();
  v1::ApplyRequest supersede;
  supersede.set_supersede(true);
  auto second = h.Apply(next, supersede);
  ASSERT_TRUE(second->error.ok()) << second->error;
  EXPECT_EQ(second->last().state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(h.world.running, "v1.32.0+k3s1");
  EXPECT_FALSE(h.HasCondition("RevertFailed"));
  EXPECT_FALSE(h.HasCondition("NotConverged"));
  EXPECT_EQ(h.MachineStatus().stage(), "running");
  v1::HistoryReply history = *h.node->History({});
  ASSERT_EQ(history.generations_size(), 3);
  EXPECT_EQ(history.generations(1).state(), v1::APPLY_STATE_REVERT_FAILED);
  EXPECT_EQ(history.generations(1).result_code(), "apply-failed");  // its own reason
}

TEST_F(NodeWayBackTest, WhatSupersedesARevertThatIsUnderWayComesInWhenThatFails) {
  h.Apply({.generation = 1});
  h.controller->execute_results = {absl::InternalError("broken"), absl::InternalError("again")};
  h.controller->hold_execute = true;
  h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  auto held = std::move(h.controller->held_execute);
  held(absl::OkStatus());  // fails; the way back is held now
  v1::ApplyRequest supersede;
  supersede.set_supersede(true);
  auto second = h.Apply(h.Sign({.generation = 3, .version = "v1.32.0+k3s1"}), supersede);
  EXPECT_FALSE(second->over());
  h.controller->hold_execute = false;
  held = std::move(h.controller->held_execute);
  held(absl::OkStatus());
  h.executor->RunUntilIdle();
  ASSERT_TRUE(second->error.ok()) << second->error;
  EXPECT_EQ(second->last().state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(h.world.running, "v1.32.0+k3s1");
}

TEST_F(NodeWayBackTest, ACancelledRevertLeavesTheCommittedConfigToBeMadeTrueAgain) {
  h.Apply({.generation = 1});
  h.controller->execute_results.assign(3, absl::InternalError("broken"));
  h.world.running = "something else";
  h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  ASSERT_TRUE(h.HasCondition("RevertFailed"));
  absl::StatusOr<v1::CancelReply> cancelled = absl::UnknownError("no reply");
  h.node->Cancel(h.operator_caller, {},
                 [&](absl::StatusOr<v1::CancelReply> reply) { cancelled = std::move(reply); });
  h.executor->RunUntilIdle();
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->state(), v1::APPLY_STATE_REVERT_FAILED);
  EXPECT_EQ(h.ConfigStatus().pending_generation(), 0);
  EXPECT_TRUE(h.HasCondition("NotConverged"));
  h.executor->Advance(absl::Minutes(5));
  EXPECT_FALSE(h.HasCondition("NotConverged"));
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_EQ(h.ConfigStatus().pending_generation(), 0);
}

TEST_F(NodeWayBackTest, ARevertThatFailsFetchesWhatItNeedsBeforeItTriesAgain) {
  h.Apply({.generation = 1});
  h.controller->execute_results = {absl::InternalError("broken"), absl::InternalError("gone")};
  h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  int before = h.controller->prepares;
  h.executor->Advance(absl::Minutes(1));
  EXPECT_EQ(h.controller->prepares, before + 1);
  EXPECT_FALSE(h.HasCondition("RevertFailed"));
}

TEST_F(NodeWayBackTest, WhatCouldNotBeMadeTrueAtTheStartIsTriedAgainWhateverComesInBetween) {
  for (const char* between : {"staged", "failed"}) {
    SCOPED_TRACE(between);
    EngineHarness node;
    ASSERT_TRUE(node.Start().ok());
    node.Apply({.generation = 1});
    const bool staged = std::string(between) == "staged";
    if (staged) {
      node.Apply({.generation = 2,
                  .version = "v1.31.0+k3s1",
                  .extra_metadata = "  apply: {mode: staged}\n"});
    }
    node.world.running.clear();
    node.execute_results = {absl::InternalError("the artifact is gone")};
    ASSERT_TRUE(node.Start().ok());
    ASSERT_TRUE(node.HasCondition("NotConverged"));
    if (!staged) {  // still under way when the next try is due, and then it fails
      node.controller->hold_prepare = true;
      node.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
      node.executor->Advance(absl::Minutes(1));
      node.controller->hold_prepare = false;
      auto held = std::move(node.controller->held_prepare);
      held(absl::UnavailableError("no route"));
    }
    node.executor->Advance(absl::Minutes(10));
    EXPECT_FALSE(node.HasCondition("NotConverged"));
    EXPECT_EQ(node.world.running, "v1.30.4+k3s1");
  }
}

TEST_F(NodeWayBackTest, ADocumentThatSupersedesGoesOnWhenItsCallerGoesAway) {
  h.Apply({.generation = 1});
  h.Apply({.generation = 2,
           .version = "v1.31.0+k3s1",
           .extra_metadata = "  apply: {mode: try, confirmWithin: 5m}\n"});
  h.controller->hold_execute = true;  // going back takes its time
  v1::ApplyRequest request;
  request.set_supersede(true);
  *request.mutable_document() = h.Sign({.generation = 3, .version = "v1.32.0+k3s1"});
  auto watcher = std::make_shared<basalt::testing::RecordingWatcher>();
  h.node->Apply(h.operator_caller, request, watcher);
  h.executor->RunUntilIdle();
  h.node->Detach(watcher);
  h.executor->RunUntilIdle();
  h.controller->hold_execute = false;
  auto held = std::move(h.controller->held_execute);
  held(absl::OkStatus());
  h.executor->RunUntilIdle();
  EXPECT_EQ(h.ActiveGeneration(), 3);
  EXPECT_TRUE(watcher->events.empty());
}

}  // namespace
}  // namespace basalt::engine
