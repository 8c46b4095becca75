// The order of a probe and of a capture: one process each, bounded, and nothing left behind.
#include "server/diagnose/diagnoser.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "api/access_table.h"
#include "api/coded_status.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/supervisor/fake_supervisor.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt::diagnose {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Watcher : public engine::CaptureWatcher {
 public:
  void OnData(std::string piece) override { data += piece; }
  void OnEnd(absl::StatusOr<v1::CaptureSummary> end) override { summary = std::move(end); }
  std::string data;
  absl::StatusOr<v1::CaptureSummary> summary = absl::UnknownError("not ended");
};

class DiagnoserTest : public ::testing::Test {
 protected:
  DiagnoserTest() {
    supervisor_.on_event = [this] {
      executor_.Post([this] {
        const std::vector<host::ServiceEvent> events = *supervisor_.Events(seen_);
        for (const host::ServiceEvent& event : events) {
          seen_ = event.seq;
          diagnoser_.OnServiceEvent(event);
        }
      });
    };
  }
  engine::Caller Operator() {
    return {.authenticated = true,
            .name = "carol",
            .roles = api::RoleClosure(v1::ROLE_OPERATOR),
            .peer = "192.168.1.7:51234"};
  }
  std::shared_ptr<absl::StatusOr<v1::ProbeReply>> Probe(const std::string& target) {
    v1::ProbeRequest request;
    request.set_kind(v1::PROBE_KIND_TCP);
    request.set_target(target);
    auto out = std::make_shared<absl::StatusOr<v1::ProbeReply>>(absl::UnknownError("not answered"));
    diagnoser_.Probe(Operator(), request, [out](auto reply) { *out = std::move(reply); });
    executor_.RunUntilIdle();
    return out;
  }
  std::shared_ptr<Watcher> Capture() {
    auto watcher = std::make_shared<Watcher>();
    v1::CaptureRequest request;
    request.set_interface("eth0");
    diagnoser_.Capture(Operator(), request, watcher);
    executor_.RunUntilIdle();
    return watcher;
  }
  int Descriptor(const std::string& service, int index) {
    return supervisor_.Spec(service)->fds.at(static_cast<size_t>(index)).get();
  }
  void Put(int fd, const std::string& text) {
    ASSERT_EQ(pwrite(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  void Ready() {
    for (int fd = 0; fd < 256; ++fd) executor_.FdReady(fd);
    executor_.RunUntilIdle();
  }

  testing::FakeClock clock_;
  testing::ManualExecutor executor_{clock_};
  testing::FakeSupervisor supervisor_{clock_};
  testing::FakeVfs vfs_;
  Diagnoser diagnoser_{executor_, supervisor_, clock_, vfs_, "/dev/null"};
  uint64_t seen_ = 0;
};

TEST_F(DiagnoserTest, AProbeIsAProcessAndItsResultTheAnswer) {
  auto reply = Probe("10.0.0.1:443");
  ASSERT_THAT(supervisor_.started(), SizeIs(1));
  const std::string service = supervisor_.started()[0];
  EXPECT_EQ(supervisor_.Spec(service)->argv[1], "probe");
  Put(Descriptor(service, 0), Pack(ProbeResult{.reached = true, .peer = "10.0.0.1:443"}));
  supervisor_.Exit(service, 0);
  executor_.RunUntilIdle();
  ASSERT_TRUE(reply->ok()) << reply->status();
  EXPECT_TRUE((*reply)->reached());
  EXPECT_EQ((*reply)->peer(), "10.0.0.1:443");
}

TEST_F(DiagnoserTest, NoMoreProbesAtATimeThanThereArePlaces) {
  Probe("10.0.0.1:1");
  Probe("10.0.0.1:2");
  EXPECT_EQ(api::Reason(Probe("10.0.0.1:3")->status()), "busy");
  supervisor_.Exit(supervisor_.started()[0], 1);
  executor_.RunUntilIdle();
  EXPECT_FALSE(api::Reason(Probe("10.0.0.1:4")->status()) == "busy");
}

TEST_F(DiagnoserTest, AProbeThatHangsIsEndedAndAnswered) {
  auto reply = Probe("10.0.0.1:443");
  executor_.Advance(absl::Seconds(14));
  executor_.RunUntilIdle();
  ASSERT_TRUE(reply->ok()) << reply->status();
  EXPECT_EQ((*reply)->error_code(), "probe-timeout");
  EXPECT_THAT(supervisor_.stopped(), SizeIs(1));
}

TEST_F(DiagnoserTest, ACaptureIsSentAPieceAtATimeAndShownWhileItRuns) {
  auto watcher = Capture();
  ASSERT_THAT(supervisor_.started(), ElementsAre("capture-1"));
  ASSERT_THAT(diagnoser_.Alarms(), SizeIs(1));
  EXPECT_EQ(diagnoser_.Alarms()[0].type, "CaptureRuns");
  EXPECT_THAT(diagnoser_.Alarms()[0].message, HasSubstr("carol (192.168.1.7:51234)"));
  // The supervisor has passed it on by now; here it is still the fake's.
  ASSERT_EQ(write(Descriptor("capture-1", 0), "one", 3), 3);
  Ready();
  EXPECT_EQ(watcher->data, "one");
  ASSERT_EQ(write(Descriptor("capture-1", 0), "two", 3), 3);
  Ready();
  EXPECT_EQ(watcher->data, "one");  // not asked for
  diagnoser_.ResumeCapture(watcher);
  executor_.RunUntilIdle();
  Ready();
  EXPECT_EQ(watcher->data, "onetwo");
}

TEST_F(DiagnoserTest, OneCaptureAtATime) {
  auto first = Capture();
  auto second = Capture();
  EXPECT_EQ(api::Reason(second->summary.status()), "busy");
  EXPECT_THAT(std::string(second->summary.status().message()), HasSubstr("carol"));
  diagnoser_.EndCapture(first);
  executor_.RunUntilIdle();
  EXPECT_THAT(diagnoser_.Alarms(), IsEmpty());
  EXPECT_THAT(supervisor_.stopped(), ElementsAre("capture-1"));
  auto third = Capture();
  EXPECT_EQ(third->summary.status().message(), "not ended");
}

}  // namespace
}  // namespace basalt::diagnose
