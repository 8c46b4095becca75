// The services over a real connection: what goes in reaches the node, what the node says comes out.
#include <gmock/gmock.h>

#include "absl/status/status.h"
#include "api/coded_status.h"
#include "api/grpc_status.h"
#include "tests/component/rpc/rpc_fixture.h"

namespace basalt::rpc {
namespace {

using Serve = RpcFixture;

TEST_F(Serve, HelloAnswersAStrangerWithoutTheNodesName) {
  Start();
  auto node = Node();
  v1::HelloReply reply;
  grpc::Status status = Hello(*node, &reply);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.api_version(), "basalt/v1");
  EXPECT_EQ(reply.name(), "");
  EXPECT_FALSE(reply.client_certificate_wanted());
}

TEST_F(Serve, ApplyStreamsEveryStateToTheFinalOne) {
  Start();
  auto node = Node();
  grpc::ClientContext context;
  Deadline(context);
  auto stream = node->Apply(&context, SignedApply("a: 1"));
  std::vector<v1::ApplyState> states;
  v1::ApplyEvent event;
  bool final = false;
  while (stream->Read(&event)) {
    EXPECT_FALSE(final);
    states.push_back(event.state());
    final = event.final();
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(final);
  ASSERT_FALSE(states.empty());
  EXPECT_EQ(states.front(), v1::APPLY_STATE_RECEIVED);
  EXPECT_EQ(states.back(), v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(api_.active_generation(), 1);
  EXPECT_EQ(api_.watchers(), 0u);
}

TEST_F(Serve, ReasonHintAndViolationsReachTheClient) {
  TestCert ca = MakeCa("owner");
  TestCert admin = MakeLeaf(ca, {.organizations = {"basalt:admin"}});
  Start(Policy(ca));
  auto node = Node({.cert = &admin});
  api_.FailNext("Plan", api::Invalid({{.reason = "unknown-field",
                                       .line = 12,
                                       .column = 3,
                                       .path = "k3s.tokn",
                                       .message = "unknown field",
                                       .hint = "did you mean `token`?"}}));
  v1::PlanRequest request;
  *request.mutable_signed_() = SignedApply("a: 1").document();
  v1::PlanReply reply;
  grpc::ClientContext context;
  Deadline(context);
  absl::Status status = api::FromGrpc(node->Plan(&context, request, &reply));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(api::Reason(status), "invalid-config");
  ASSERT_EQ(api::Violations(status).size(), 1u);
  EXPECT_EQ(api::Violations(status)[0].path, "k3s.tokn");
  EXPECT_EQ(api::Violations(status)[0].line, 12);
}

TEST_F(Serve, CallsOfOneConnectionShareItsNumberAndOthersDoNot) {
  Start();
  auto first = Node();
  auto second = Node();
  ASSERT_TRUE(Hello(*first).ok());
  ASSERT_TRUE(Hello(*first).ok());
  ASSERT_TRUE(Hello(*second).ok());
  auto calls = api_.calls();
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_NE(calls[0].caller.connection, 0u);
  EXPECT_EQ(calls[0].caller.connection, calls[1].caller.connection);
  EXPECT_NE(calls[0].caller.connection, calls[2].caller.connection);
  EXPECT_THAT(calls[0].caller.peer, ::testing::StartsWith("127.0.0.1:"));
}

TEST_F(Serve, ReturnIsTakenOverAnotherConnectionOnly) {
  Start();
  auto node = Node();
  grpc::ClientContext apply_context;
  Deadline(apply_context);
  auto stream = node->Apply(&apply_context, SignedApply("a: 1"));
  v1::ApplyEvent event;
  while (stream->Read(&event)) {
  }
  ASSERT_TRUE(stream->Finish().ok());
  v1::ReturnRequest request;
  request.set_token("return-token");
  v1::ReturnReply reply;
  grpc::ClientContext same;
  Deadline(same);
  EXPECT_FALSE(node->Return(&same, request, &reply).ok());
  grpc::ClientContext other;
  Deadline(other);
  EXPECT_TRUE(Node()->Return(&other, request, &reply).ok());
}

TEST_F(Serve, LogsSendTheTailAndFollow) {
  TestCert ca = MakeCa("owner");
  TestCert reader = MakeLeaf(ca, {.organizations = {"basalt:reader"}});
  Start(Policy(ca));
  auto node = Node({.cert = &reader});
  api_.AppendLog("k3s", "one\ntwo\nthree\n");
  v1::LogsRequest request;
  request.set_tail(2);
  request.set_follow(true);
  grpc::ClientContext context;
  Deadline(context);
  auto stream = node->Logs(&context, request);
  v1::LogsReply reply;
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.data(), "two\nthree\n");
  api_.AppendLog("k3s", "four\n");
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.data(), "four\n");
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(Serve, LogsOfAnUnknownServiceAreNotFound) {
  TestCert ca = MakeCa("owner");
  TestCert reader = MakeLeaf(ca, {.organizations = {"basalt:reader"}});
  Start(Policy(ca));
  v1::LogsRequest request;
  request.set_service("nosuch");
  grpc::ClientContext context;
  Deadline(context);
  auto stream = Node({.cert = &reader})->Logs(&context, request);
  v1::LogsReply reply;
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(Serve, AClosedConnectionFreesItsSlot) {
  Start();
  {
    auto node = Node();
    ASSERT_TRUE(Hello(*node).ok());
    EXPECT_EQ(server_->stats().open, 1);
  }
  EXPECT_TRUE(
      server_->AwaitStats([](const ServerStats& s) { return s.open == 0; }, absl::Seconds(10)));
}

TEST_F(Serve, ShutdownEndsConnectionsAndStreams) {
  Start();
  api_.Hold("Apply");
  auto node = Node();
  grpc::ClientContext context;
  Deadline(context);
  auto stream = node->Apply(&context, SignedApply("a: 1"));
  v1::ApplyEvent event;
  ASSERT_TRUE(stream->Read(&event));
  host::UniqueFd idle = Dial();
  ASSERT_TRUE(
      server_->AwaitStats([](const ServerStats& s) { return s.open == 2; }, absl::Seconds(10)));
  server_->Shutdown(absl::ZeroDuration());
  EXPECT_FALSE(stream->Read(&event));
  EXPECT_FALSE(stream->Finish().ok());
  EXPECT_TRUE(AwaitClosed(idle.get(), absl::Seconds(10)));
  EXPECT_EQ(api_.watchers(), 0u);
}

}  // namespace
}  // namespace basalt::rpc
