#include "server/rpc/streams.h"

#include <gtest/gtest.h>

#include "api/coded_status.h"
#include "server/rpc/identity.h"
#include "server/rpc/node_service.h"

namespace basalt::rpc {
namespace {

v1::ApplyEvent Progress(int done) {
  v1::ApplyEvent event;
  event.mutable_progress()->set_done(done);
  return event;
}
v1::ApplyEvent State(v1::ApplyState state, bool final = false) {
  v1::ApplyEvent event;
  event.set_state(state);
  event.set_final(final);
  return event;
}

TEST(ApplyQueue, OldProgressGoesFirstStatesLaterTheFinalNever) {
  std::deque<v1::ApplyEvent> queue = {State(v1::APPLY_STATE_RECEIVED), Progress(1), Progress(2)};
  EXPECT_TRUE(ApplyCall::DropFor(&queue, Progress(3)));
  ASSERT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue[1].progress().done(), 2);
  queue = {State(v1::APPLY_STATE_RECEIVED), State(v1::APPLY_STATE_VERIFIED)};
  EXPECT_FALSE(ApplyCall::DropFor(&queue, Progress(3)));
  EXPECT_TRUE(ApplyCall::DropFor(&queue, State(v1::APPLY_STATE_COMMITTED, true)));
  EXPECT_EQ(queue.front().state(), v1::APPLY_STATE_VERIFIED);
  queue = {State(v1::APPLY_STATE_COMMITTED, true)};
  EXPECT_FALSE(ApplyCall::DropFor(&queue, State(v1::APPLY_STATE_REVERTED)));
  EXPECT_EQ(queue.size(), 1u);
}

TEST(LogsTail, CountsLinesFromTheEnd) {
  EXPECT_EQ(LogsCall::Tail("a\nb\nc\n", 2), "b\nc\n");
  EXPECT_EQ(LogsCall::Tail("a\nb\nc", 2), "b\nc");
  EXPECT_EQ(LogsCall::Tail("a\nb\n", 9), "a\nb\n");
  EXPECT_EQ(LogsCall::Tail("", 3), "");
  EXPECT_EQ(LogsCall::Tail("\n\n\n", 1), "\n");
}

TEST(Roles, OnlyExactOrganizationsOfThisClusterClaim) {
  EXPECT_EQ(ClaimedRoles({"basalt:reader"}, "home"), std::set<v1::Role>{v1::ROLE_READER});
  EXPECT_EQ(ClaimedRoles({"basalt:home:admin"}, "home").size(), 4u);
  EXPECT_TRUE(ClaimedRoles({"basalt:home:admin"}, "").empty());
  EXPECT_TRUE(ClaimedRoles({"basalt::admin"}, "").empty());
  EXPECT_TRUE(ClaimedRoles({"basalt:other:admin", "system:masters", ""}, "home").empty());
}

TEST(Arguments, UnsignedPlansNeedReaderAndSupersedeNeedsOperator) {
  engine::Caller deliver{.authenticated = true, .roles = {v1::ROLE_DELIVER}};
  v1::PlanRequest plan;
  EXPECT_EQ(api::Reason(CheckPlan(deliver, plan)), "no-source");
  plan.set_unsigned_yaml("a: 1");
  EXPECT_EQ(api::Reason(CheckPlan(deliver, plan)), "needs-role");
  plan.mutable_signed_();
  EXPECT_TRUE(CheckPlan(deliver, plan).ok());
  v1::ApplyRequest apply;
  EXPECT_TRUE(CheckApply({}, apply).ok());
  apply.set_supersede(true);
  EXPECT_EQ(api::Reason(CheckApply(deliver, apply)), "needs-role");
  apply.set_supersede(false);
  apply.set_idempotency_key(std::string(65, 'k'));
  EXPECT_EQ(api::Reason(CheckApply(deliver, apply)), "bad-idempotency-key");
}

}  // namespace
}  // namespace basalt::rpc
