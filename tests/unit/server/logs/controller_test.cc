// `system.logs` from the config to the process that sends, and back to what status says of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/validate/validate.h"
#include "server/logs/logs_controller.h"
#include "server/logs/record.h"
#include "server/logs/sender_process.h"
#include "server/logs/ship.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/supervisor/fake_supervisor.h"
#include "tests/support/vfs/fake_vfs.h"
#include "tests/unit/server/logs/fake_kernel_log.h"

namespace basalt::logs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

v1::MachineConfig Config(const std::string& logs) {
  const std::string text = absl::StrCat(
      "apiVersion: basalt/v1\nkind: MachineConfig\nmetadata: {cluster: home, name: n1, epoch: 1, "
      "generation: 20261124050000, signedAt: 2026-11-24T05:00:00Z}\ntarget: {machineId: ",
      std::string(64, 'a'), "}\nsystem: {logs: ", logs, "}\n");
  std::vector<api::Violation> warnings;
  absl::StatusOr<v1::MachineConfig> config =
      validate::Load(text, "", validate::Stage::kComplete, &warnings);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? schema::Resolve(*std::move(config)) : v1::MachineConfig();
}

constexpr char kSiem[] =
    "{sinks: [{name: siem, endpoint: \"syslog+tls://logs.example.org:6514\"}]}";

class LogsTest : public ::testing::Test {
 protected:
  LogsTest() {
    EXPECT_TRUE(vfs_.MakeDirs("run").ok());
    Restart();
    supervisor_.on_event = [this] {
      executor_.Post([this] {
        const std::vector<host::ServiceEvent> events = *supervisor_.Events(seen_);
        for (const host::ServiceEvent& event : events) {
          seen_ = event.seq;
          controller_->OnServiceEvent(event);
        }
      });
    };
  }
  void Restart() {
    controller_ = MakeLogsController({.executor = executor_,
                                      .vfs = vfs_,
                                      .clock = clock_,
                                      .supervisor = supervisor_,
                                      .kernel = kernel_,
                                      .wire_program = "/dev/null"});
    controller_->SetOnChange([this] { ++changes_; });
    controller_->Start(
        [](const auto&) -> absl::StatusOr<engine::NodeApi::LogChunk> {
          return engine::NodeApi::LogChunk();
        },
        [](std::string&) { return absl::OkStatus(); });
  }
  void Execute(const v1::MachineConfig& config) {
    absl::Status result = absl::UnknownError("not called");
    controller_->Execute(&config, [&](absl::Status status) { result = std::move(status); });
    executor_.RunUntilIdle();
    EXPECT_TRUE(result.ok()) << result;
  }
  std::vector<std::string> Steps(const v1::MachineConfig* from, const v1::MachineConfig& to) {
    absl::StatusOr<engine::ControllerPlan> plan = controller_->Plan(from, to);
    EXPECT_TRUE(plan.ok()) << plan.status();
    std::vector<std::string> out;
    for (const engine::PlanStep& step : plan->steps) out.push_back(step.description);
    return out;
  }
  void Pass(absl::Duration time) {
    executor_.Advance(time);
    executor_.RunUntilIdle();
  }
  // The sender's end of the socket, and what it was told.
  int Socket() { return supervisor_.Spec(kSenderService)->fds.at(1).get(); }
  ShipSpec Told() {
    std::string text(kMaxSpec, '\0');
    const ssize_t n =
        pread(supervisor_.Spec(kSenderService)->fds.at(0).get(), text.data(), text.size(), 0);
    return UnpackShip(absl::string_view(text).substr(0, static_cast<size_t>(n)))
        .value_or(ShipSpec());
  }
  std::vector<std::string> Received() {
    std::vector<std::string> out;
    char packet[kMaxPacket];
    ssize_t n;
    while ((n = recv(Socket(), packet, sizeof packet, MSG_DONTWAIT)) > 0) {
      auto record = UnpackRecord(absl::string_view(packet, static_cast<size_t>(n)));
      out.push_back(record ? record->text : "?");
    }
    return out;
  }
  void Say(const SinkState& state) {
    const std::string packet = Pack(state);
    ASSERT_EQ(send(Socket(), packet.data(), packet.size(), 0), static_cast<ssize_t>(packet.size()));
    for (int fd = 0; fd < 256; ++fd) executor_.FdReady(fd);
    executor_.RunUntilIdle();
  }

  testing::FakeClock clock_;
  testing::ManualExecutor executor_{clock_};
  testing::FakeSupervisor supervisor_{clock_};
  testing::FakeVfs vfs_;
  testing::FakeKernelLog kernel_;
  std::unique_ptr<LogsController> controller_;
  uint64_t seen_ = 0;
  int changes_ = 0;
};

TEST_F(LogsTest, ThePlanSaysWhereLogsGoAndWhatIsKept) {
  const v1::MachineConfig none = Config("{}");
  const v1::MachineConfig siem = Config(kSiem);
  const v1::MachineConfig kept = Config("{retention: {maxSize: 16Mi, keep: 720h}}");
  EXPECT_THAT(Steps(&none, siem),
              ElementsAre("send logs to siem (syslog+tls://logs.example.org:6514)"));
  EXPECT_THAT(Steps(&siem, siem), IsEmpty());
  EXPECT_THAT(Steps(&siem, kept), ElementsAre("send no more logs to siem",
                                              "keep 16Mi of each service's log on disk, for 720h"));
  EXPECT_THAT(Steps(&kept, none), ElementsAre("keep no more logs on disk"));
}

TEST_F(LogsTest, ATokenThatWouldEndItsHeaderIsRefused) {
  v1::MachineConfig config =
      Config("{sinks: [{name: a, endpoint: \"https://logs.example.org/x\"}]}");
  config.mutable_system()->mutable_logs()->mutable_sinks(0)->mutable_token()->set_plain(
      "a\r\nHost: b");
  EXPECT_EQ(api::Reason(controller_->Plan(nullptr, config).status()), "bad-sink");
}

TEST_F(LogsTest, WithoutTheSectionNothingRunsAndNothingIsWritten) {
  Execute(Config("{}"));
  kernel_.Say("booted", absl::Seconds(1));
  Pass(absl::Minutes(10));
  EXPECT_EQ(supervisor_.Spec(kSenderService), nullptr);
  EXPECT_FALSE(vfs_.Exists(kCursorFile));
}

TEST_F(LogsTest, TheSenderIsToldAllThatTheConfigSaysAndGetsWhatIsSaid) {
  Execute(
      Config("{sinks: [{name: a, endpoint: \"https://h.example.org/in\", encoding: loki, token: "
             "t0ken, batch: {size: 9, wait: 2s}}]}"));
  ASSERT_THAT(Told().sinks, SizeIs(1));
  const SinkSpec sink = Told().sinks[0];
  EXPECT_EQ(sink.transport, Transport::kHttps);
  EXPECT_EQ(sink.host, "h.example.org");
  EXPECT_EQ(sink.port, 443);
  EXPECT_EQ(sink.path, "/in");
  EXPECT_EQ(sink.encoding, Encoding::kLoki);
  EXPECT_EQ(sink.token, "t0ken");
  EXPECT_EQ(sink.batch, 9);
  EXPECT_EQ(sink.wait, absl::Seconds(2));
  EXPECT_EQ(Told().host_name, "n1");
  for (const std::string& argument : supervisor_.Spec(kSenderService)->argv) {
    EXPECT_THAT(argument, ::testing::Not(HasSubstr("t0ken")));
  }
  kernel_.Say("booted", absl::Seconds(1));
  Pass(absl::Seconds(5));
  EXPECT_THAT(Received(), ElementsAre("booted"));
}

TEST_F(LogsTest, ASinkThatFailsIsAnAlarmAndNoReasonToGoBack) {
  Execute(Config(kSiem));
  EXPECT_THAT(controller_->Alarms(), IsEmpty());
  Say({.name = "siem", .failing = true, .dropped = 12, .message = "refused"});
  ASSERT_THAT(controller_->Alarms(), SizeIs(1));
  EXPECT_EQ(controller_->Alarms()[0].type, "LogsNotSent");
  EXPECT_EQ(controller_->Alarms()[0].message, "siem: refused; 12 lines dropped");
  EXPECT_THAT(controller_->Observe(), IsEmpty());
  EXPECT_GT(changes_, 0);
  const v1::LogSink sink = controller_->Resources().at(0).log_sink();
  EXPECT_EQ(sink.state(), "failing");
  EXPECT_EQ(sink.dropped(), 12);
  Say({.name = "siem", .sent = 5});
  EXPECT_THAT(controller_->Alarms(), IsEmpty());
  EXPECT_EQ(controller_->Resources().at(0).log_sink().state(), "sending");
}

TEST_F(LogsTest, ASenderThatEndsIsStartedAgainAndANewNodedReplacesTheOldOnes) {
  Execute(Config(kSiem));
  supervisor_.Exit(kSenderService, 1);
  executor_.RunUntilIdle();
  EXPECT_EQ(controller_->Alarms().at(0).reason, "SenderFailed");
  Pass(SenderProcess::kStartAgain);
  EXPECT_THAT(supervisor_.started(), ElementsAre("logs", "logs"));
  EXPECT_THAT(controller_->Alarms(), IsEmpty());
  Restart();
  Execute(Config(kSiem));
  EXPECT_THAT(supervisor_.stopped(), ElementsAre("logs"));
  EXPECT_THAT(supervisor_.started(), ElementsAre("logs", "logs", "logs"));
}

TEST_F(LogsTest, AnotherConfigReplacesTheSenderAndTheSameDoesNot) {
  Execute(Config(kSiem));
  Execute(Config(kSiem));
  EXPECT_THAT(supervisor_.started(), SizeIs(1));
  Execute(Config("{sinks: [{name: siem, endpoint: \"syslog+udp://10.0.0.1:514\"}]}"));
  EXPECT_THAT(supervisor_.started(), SizeIs(2));
  EXPECT_EQ(Told().sinks.at(0).transport, Transport::kUdp);
  Execute(Config("{}"));
  EXPECT_THAT(supervisor_.started(), SizeIs(2));
  EXPECT_EQ(supervisor_.Status(kSenderService)->pid, 0);
}

TEST_F(LogsTest, ASenderThatDoesNotReadCostsNothingButWhatTheRingsDrop) {
  Execute(Config(kSiem));
  for (int i = 0; i < 5000; ++i) kernel_.Say(std::string(500, 'x'), absl::Seconds(1));
  Pass(absl::Seconds(1));
  const size_t first = Received().size();
  EXPECT_LT(first, 5000u);
  size_t all = first;
  for (int i = 0; i < 100 && all < 5000; ++i) {
    Pass(absl::Seconds(1));
    all += Received().size();
  }
  EXPECT_EQ(all, 5000u);
}

TEST_F(LogsTest, TheKernelsLogIsReadByItsNumbersAndItsTimes) {
  kernel_.Say("early", absl::Seconds(1));
  kernel_.Say("late", absl::Seconds(99));
  auto all = controller_->Kernel({.service = "kernel"});
  EXPECT_EQ(all->data, "[    1.000000] early\n[   99.000000] late\n");
  EXPECT_EQ(all->next_offset, 2u);
  EXPECT_EQ(controller_->Kernel({.service = "kernel", .from_offset = 1})->data,
            "[   99.000000] late\n");
  EXPECT_EQ(controller_->Kernel({.service = "kernel", .since = absl::Seconds(10)})->data,
            "[   99.000000] late\n");
}

}  // namespace
}  // namespace basalt::logs
