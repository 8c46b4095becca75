#include "client/fleet/apply_session.h"

#include <gmock/gmock.h>

#include <deque>

#include "api/coded_status.h"

namespace basalt::client {
namespace {

// What every connection to the node shares.
struct Node {
  // One entry a call of Apply: its events, then how the stream ends.
  struct Stream {
    std::vector<v1::ApplyEvent> events;
    absl::Status end;
  };
  std::deque<Stream> streams;
  std::deque<absl::Status> returns;
  std::vector<std::string> returned_over;  // endpoints; "" is the first connection
  std::vector<std::string> applied_over;
  int connections = 1;
};

class FakeClient : public NodeClient {
 public:
  FakeClient(Node& node, std::string endpoint, bool fresh)
      : node_(node), endpoint_(std::move(endpoint)), fresh_(fresh) {}
  absl::Status Apply(const v1::ApplyRequest&, absl::Time,
                     const std::function<bool(const v1::ApplyEvent&)>& on_event) override {
    node_.applied_over.push_back(endpoint_);
    if (node_.streams.empty()) return absl::UnavailableError("gone");
    Node::Stream stream = node_.streams.front();
    node_.streams.pop_front();
    for (const v1::ApplyEvent& event : stream.events) {
      if (!on_event(event)) return absl::OkStatus();
    }
    return stream.end;
  }
  absl::Status Return(const std::string&) override {
    EXPECT_TRUE(fresh_) << "the token must come over another connection";
    node_.returned_over.push_back(endpoint_);
    if (node_.returns.empty()) return absl::OkStatus();
    absl::Status status = node_.returns.front();
    node_.returns.pop_front();
    return status;
  }
  std::unique_ptr<NodeClient> Fresh(const std::string& endpoint) const override {
    ++node_.connections;
    return std::make_unique<FakeClient>(node_, endpoint, true);
  }
  absl::StatusOr<v1::HelloReply> Hello(absl::Duration) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<v1::ServedSchema> GetSchema() override { return absl::UnimplementedError(""); }
  absl::StatusOr<v1::PlanReply> Plan(const v1::PlanRequest&, absl::Duration) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<v1::ApplyTrustReply> ApplyTrust(const v1::ApplyTrustRequest&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<v1::ApplyActionReply> ApplyAction(const v1::ApplyActionRequest&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<v1::ConfirmReply> Confirm(const std::string&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<v1::CancelReply> Cancel(const std::string&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<v1::HistoryReply> History(int, absl::Duration) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<v1::GetConfigReply> GetConfig(int64_t) override {
    return absl::UnimplementedError("");
  }
  absl::Status Logs(const v1::LogsRequest&,
                    const std::function<bool(const std::string&)>&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<v1::KubeconfigReply> Kubeconfig() override { return absl::UnimplementedError(""); }
  absl::StatusOr<v1::ProbeReply> Probe(const v1::ProbeRequest&) override {
    return absl::UnimplementedError("");
  }
  absl::Status Capture(const v1::CaptureRequest&,
                       const std::function<bool(const v1::CaptureReply&)>&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<v1::Resource> Get(const std::string&, const std::string&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<v1::ListReply> List(const std::string&) override {
    return absl::UnimplementedError("");
  }
  std::string seen_fingerprint() const override { return ""; }

 private:
  Node& node_;
  std::string endpoint_;
  bool fresh_;
};

v1::ApplyEvent Event(v1::ApplyState state, bool final = false) {
  v1::ApplyEvent event;
  event.set_state(state);
  event.set_final(final);
  return event;
}

class ApplySession : public ::testing::Test {
 protected:
  absl::StatusOr<v1::ApplyEvent> Run(absl::Time deadline = absl::Now() + absl::Hours(1)) {
    const ApplyObserver observer{[this](const v1::ApplyEvent& e) { seen_.push_back(e); }, nullptr,
                                 [this](const std::string& to) { moved_to_.push_back(to); }};
    return RunApply(std::make_unique<FakeClient>(node_, "", false), "10.0.0.1:1", {}, deadline,
                    observer, [this](absl::Duration d) { paused_ += d; });
  }
  Node node_;
  std::vector<v1::ApplyEvent> seen_;
  std::vector<std::string> moved_to_;
  absl::Duration paused_;
};

TEST_F(ApplySession, FinalEventEndsIt) {
  node_.streams = {{{Event(v1::APPLY_STATE_RECEIVED), Event(v1::APPLY_STATE_COMMITTED, true)},
                    absl::OkStatus()}};
  auto last = Run();
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(node_.connections, 1);
}

TEST_F(ApplySession, BrokenStreamIsJoinedAgainAndTheCommitIsNotCalledUnchanged) {
  v1::ApplyEvent again = Event(v1::APPLY_STATE_COMMITTED, true);
  again.set_unchanged(true);
  node_.streams = {{{Event(v1::APPLY_STATE_EXECUTING)}, absl::UnavailableError("Socket closed")},
                   {{}, absl::UnavailableError("Connection refused")},
                   {{again}, absl::OkStatus()}};
  auto last = Run();
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_FALSE(last->unchanged());
  EXPECT_EQ(node_.applied_over.size(), 3u);
  EXPECT_GT(paused_, absl::ZeroDuration());
}

TEST_F(ApplySession, RefusalAtTheStartIsNotTriedAgain) {
  node_.streams = {{{}, api::Coded(absl::StatusCode::kUnavailable, "unreachable", "x")}};
  EXPECT_EQ(api::Reason(Run().status()), "unreachable");
  EXPECT_EQ(node_.applied_over.size(), 1u);
}

TEST_F(ApplySession, RefusalAfterTheBreakIsTheAnswer) {
  node_.streams = {
      {{Event(v1::APPLY_STATE_EXECUTING)}, absl::UnavailableError("Socket closed")},
      {{}, api::Coded(absl::StatusCode::kFailedPrecondition, "already-reverted", "it went back")}};
  EXPECT_EQ(api::Reason(Run().status()), "already-reverted");
}

TEST_F(ApplySession, TokenComesBackOverAnotherConnectionAlsoAtTheNewAddress) {
  v1::ApplyEvent verifying = Event(v1::APPLY_STATE_VERIFYING);
  verifying.set_return_token("t");
  verifying.add_return_endpoints("10.0.0.2:1");
  node_.streams = {
      {{verifying, verifying, Event(v1::APPLY_STATE_COMMITTED, true)}, absl::OkStatus()}};
  node_.returns = {absl::UnavailableError("Connection refused")};
  ASSERT_TRUE(Run().ok());
  // Once: the same token is not used twice.
  EXPECT_THAT(node_.returned_over, ::testing::ElementsAre("", "10.0.0.2:1"));
}

TEST_F(ApplySession, AnotherAddressIsToldOnceTheNodeHoldsTheDocument) {
  v1::ApplyEvent verifying = Event(v1::APPLY_STATE_VERIFYING);
  verifying.set_return_token("t");
  verifying.add_return_endpoints("10.0.0.1:2");
  for (v1::ApplyState end :
       {v1::APPLY_STATE_COMMITTED, v1::APPLY_STATE_AWAITING_CONFIRM, v1::APPLY_STATE_REVERTED}) {
    moved_to_.clear();
    node_.streams = {{{verifying, Event(end, true)}, absl::OkStatus()}};
    node_.returns = {absl::UnavailableError("Connection refused")};
    ASSERT_TRUE(Run().ok());
    if (end == v1::APPLY_STATE_REVERTED) {
      EXPECT_THAT(moved_to_, ::testing::IsEmpty());
    } else {
      EXPECT_THAT(moved_to_, ::testing::ElementsAre("10.0.0.1:2"));
    }
  }
}

TEST_F(ApplySession, AddressThatStillAnswersIsNoMove) {
  v1::ApplyEvent verifying = Event(v1::APPLY_STATE_VERIFYING);
  verifying.set_return_token("t");
  verifying.add_return_endpoints("10.0.0.1:2");
  node_.streams = {{{verifying, Event(v1::APPLY_STATE_COMMITTED, true)}, absl::OkStatus()}};
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(moved_to_, ::testing::IsEmpty());
}

TEST_F(ApplySession, MoveIsAlsoSeenByAnApplyThatIsJoinedAtTheNewAddress) {
  v1::ApplyEvent verifying = Event(v1::APPLY_STATE_VERIFYING);
  verifying.add_return_endpoints("10.0.0.1:2");
  node_.streams = {{{verifying}, absl::UnavailableError("Socket closed")},
                   {{}, absl::UnavailableError("Connection refused")},
                   {{Event(v1::APPLY_STATE_COMMITTED, true)}, absl::OkStatus()}};
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(node_.applied_over, ::testing::ElementsAre("", "", "10.0.0.1:2"));
  EXPECT_THAT(moved_to_, ::testing::ElementsAre("10.0.0.1:2"));
}

// 0.0.0.0 dialled from here would be this machine.
TEST_F(ApplySession, NodeThatListensEverywhereIsSoughtAtTheHostThatIsKnown) {
  v1::ApplyEvent verifying = Event(v1::APPLY_STATE_VERIFYING);
  verifying.set_return_token("t");
  verifying.add_return_endpoints("0.0.0.0:2");
  verifying.add_return_endpoints("[::]:3");
  node_.streams = {{{verifying, Event(v1::APPLY_STATE_COMMITTED, true)}, absl::OkStatus()}};
  node_.returns = {absl::UnavailableError("x"), absl::UnavailableError("x")};
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(node_.returned_over, ::testing::ElementsAre("", "10.0.0.1:2", "10.0.0.1:3"));
  EXPECT_THAT(moved_to_, ::testing::ElementsAre("10.0.0.1:3"));
}

TEST_F(ApplySession, ListenerThatIsNotUpYetIsTriedAgain) {
  v1::ApplyEvent verifying = Event(v1::APPLY_STATE_VERIFYING);
  verifying.set_return_token("t");
  node_.streams = {{{verifying, Event(v1::APPLY_STATE_COMMITTED, true)}, absl::OkStatus()}};
  node_.returns = {absl::UnavailableError("x"), absl::UnavailableError("x"), absl::OkStatus()};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(node_.returned_over.size(), 3u);
}

TEST_F(ApplySession, EndOfTheWaitSaysThatTheApplyGoesOn) {
  node_.streams = {{{Event(v1::APPLY_STATE_VERIFYING)}, absl::DeadlineExceededError("x")}};
  EXPECT_EQ(api::Reason(Run().status()), "wait-ended");
}

TEST_F(ApplySession, AwaitingConfirmationEndsTheWait) {
  node_.streams = {{{Event(v1::APPLY_STATE_AWAITING_CONFIRM)}, absl::OkStatus()}};
  auto last = Run();
  ASSERT_TRUE(last.ok());
  EXPECT_EQ(last->state(), v1::APPLY_STATE_AWAITING_CONFIRM);
}

}  // namespace
}  // namespace basalt::client
