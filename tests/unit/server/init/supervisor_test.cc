#include "server/init/core/supervisor.h"

#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/server/init/fake_os.h"

namespace basalt::init {
namespace {

class SupervisorTest : public ::testing::Test {
 protected:
  ~SupervisorTest() override { EXPECT_EQ(os_.bad_closes, 0); }

  int Start(const TestSpec& spec, int fds = 0) {
    int exec = os_.NewFd();
    std::vector<int> more;
    for (int i = 0; i < fds; ++i) more.push_back(os_.NewFd());
    started_ = {};
    return supervisor_->Start(spec.body, spec.strings.data(), spec.strings.size(), exec,
                              more.data(), fds, &started_);
  }
  ServiceRecord Get(const std::string& name) {
    ServiceRecord all[kMaxServices];
    size_t count = supervisor_->List(all);
    for (size_t i = 0; i < count; ++i) {
      if (name == all[i].name) return all[i];
    }
    ADD_FAILURE() << "no service " << name;
    return {};
  }
  State StateOf(const std::string& name) { return static_cast<State>(Get(name).state); }
  std::vector<EventRecord> Events(uint64_t after = 0) {
    EventRecord all[kMaxEvents + 1];
    size_t count = supervisor_->Events(after, all);
    return {all, all + count};
  }
  void Pass(int64_t ns) {
    os_.now += ns;
    supervisor_->OnTime();
  }
  void Exit(int code, int signal = 0) {
    EXPECT_TRUE(supervisor_->OnExit({os_.services.back().pid, code, signal}));
  }

  FakeOs os_;
  std::unique_ptr<Supervisor> supervisor_ = std::make_unique<Supervisor>(os_);
  Supervisor::Started started_;
};

TEST_F(SupervisorTest, StartRunsTheProgramWithItsWholeEnvironmentAndNothingElse) {
  ASSERT_EQ(Start(MakeSpec("k3s")), 0);
  EXPECT_EQ(started_.pid, os_.services[0].pid);
  EXPECT_EQ(os_.services[0].argv, (std::vector<std::string>{"k3s", "server"}));
  EXPECT_EQ(os_.services[0].env, (std::vector<std::string>{"A=b"}));
  EXPECT_EQ(StateOf("k3s"), State::kRunning);
  EXPECT_STREQ(Get("k3s").tag, "v1");
}

TEST_F(SupervisorTest, ANotifyingServiceIsStartingUntilItsMainProcessSaysReady) {
  TestSpec spec = MakeSpec("k3s");
  spec.body.flags = kNotify;
  ASSERT_EQ(Start(spec), 0);
  EXPECT_EQ(os_.services[0].env.back(), "NOTIFY_SOCKET=@12345");
  EXPECT_EQ(StateOf("k3s"), State::kStarting);
  uint64_t token = os_.watched[os_.last_io.notify];
  os_.notifications = {{"READY=1\n", started_.pid + 1000},  // a stranger, or the previous run
                       {"STATUS=READY=1\n", started_.pid},
                       {"READY=10", started_.pid}};
  supervisor_->OnReadable(token);
  EXPECT_EQ(StateOf("k3s"), State::kStarting);
  os_.notifications = {{"STATUS=up\nREADY=1\n", started_.pid}, {"READY=1", started_.pid}};
  supervisor_->OnReadable(token);
  EXPECT_EQ(StateOf("k3s"), State::kRunning);
  EXPECT_EQ(Get("k3s").ready, 1);
  ASSERT_EQ(Events().size(), 2u);  // started, and ready once
  EXPECT_EQ(Events()[1].kind, static_cast<uint32_t>(EventKind::kReady));
}

TEST_F(SupervisorTest, RestartDelayDoublesOnRapidExitsOnlyAndIsBounded) {
  TestSpec spec = MakeSpec("k3s");
  spec.body.always = 1;
  spec.body.max_delay_ns = 15 * kSecond;
  ASSERT_EQ(Start(spec), 0);
  for (int64_t wait : {5, 10, 15, 15}) {
    Exit(1);
    EXPECT_EQ(StateOf("k3s"), State::kBackingOff);
    Pass(wait * kSecond - 1);
    EXPECT_EQ(StateOf("k3s"), State::kBackingOff) << wait;
    Pass(1);
    EXPECT_EQ(StateOf("k3s"), State::kRunning) << wait;
  }
  Pass(31 * kSecond);
  Exit(1);
  EXPECT_EQ(supervisor_->NextDeadline(), os_.now + 5 * kSecond);
  EXPECT_EQ(Get("k3s").starts, 5);
}

TEST_F(SupervisorTest, ADelayOfZeroDoesNotSpin) {
  TestSpec spec = MakeSpec("k3s");
  spec.body.always = 1;
  spec.body.delay_ns = spec.body.max_delay_ns = 0;
  ASSERT_EQ(Start(spec), 0);
  Exit(1);
  EXPECT_GT(supervisor_->NextDeadline(), os_.now);
}

TEST_F(SupervisorTest, AOneRunServiceKeepsItsExitAndLetsGoOfItsProgram) {
  ASSERT_EQ(Start(MakeSpec("fetch"), 0), 0);
  size_t open = os_.open.size();
  Exit(3);
  EXPECT_EQ(StateOf("fetch"), State::kFailed);
  EXPECT_EQ(Get("fetch").exit_code, 3);
  EXPECT_EQ(os_.open.size(), open - 1);
  ASSERT_EQ(Start(MakeSpec("fetch")), 0);
  Exit(0);
  EXPECT_EQ(StateOf("fetch"), State::kStopped);
  ASSERT_EQ(Start(MakeSpec("fetch")), 0);
  Exit(0, SIGSEGV);
  EXPECT_EQ(StateOf("fetch"), State::kFailed);
  EXPECT_EQ(Get("fetch").signal, SIGSEGV);
}

TEST_F(SupervisorTest, I8_StopAsksThenKillsTheMainProcessAlone) {
  TestSpec spec = MakeSpec("k3s");
  spec.body.always = 1;
  ASSERT_EQ(Start(spec), 0);
  int pid = started_.pid;
  ASSERT_EQ(supervisor_->Stop("k3s"), 0);
  Pass(19 * kSecond);
  ASSERT_EQ(supervisor_->Stop("k3s"), 0);  // again: the ladder goes on, it does not begin anew
  EXPECT_EQ(os_.kills, (std::vector<std::pair<int, int>>{{pid, SIGTERM}}));
  Pass(1 * kSecond);
  EXPECT_EQ(os_.kills, (std::vector<std::pair<int, int>>{{pid, SIGTERM}, {pid, SIGKILL}}));
  Exit(0, SIGKILL);
  EXPECT_EQ(StateOf("k3s"), State::kStopped);
  EXPECT_EQ(supervisor_->NextDeadline(), Os::kNever);  // nothing restarts it
}

TEST_F(SupervisorTest, StopEndsABackOffAtOnce) {
  TestSpec spec = MakeSpec("k3s");
  spec.body.always = 1;
  ASSERT_EQ(Start(spec), 0);
  Exit(1);
  ASSERT_EQ(supervisor_->Stop("k3s"), 0);
  EXPECT_EQ(StateOf("k3s"), State::kStopped);
  Pass(3600 * kSecond);
  EXPECT_EQ(os_.services.size(), 1u);
  EXPECT_EQ(supervisor_->Stop("other"), ENOENT);
}

TEST_F(SupervisorTest, ARunningNameIsRefusedAndItsDescriptorsAreClosed) {
  ASSERT_EQ(Start(MakeSpec("k3s")), 0);
  size_t open = os_.open.size();
  TestSpec spec = MakeSpec("k3s");
  spec.body.fds = 2;
  EXPECT_EQ(Start(spec, 2), EEXIST);
  EXPECT_EQ(os_.open.size(), open);
}

TEST_F(SupervisorTest, AFailedExecLeavesNothingBehind) {
  os_.spawn_error = ENOEXEC;
  EXPECT_EQ(Start(MakeSpec("k3s")), ENOEXEC);
  EXPECT_TRUE(started_.exec_failed);
  EXPECT_TRUE(os_.open.empty());
  ServiceRecord all[kMaxServices];
  EXPECT_EQ(supervisor_->List(all), 0u);
}

TEST_F(SupervisorTest, AFailedReplacementLeavesThePreviousRecordTrue) {
  ASSERT_EQ(Start(MakeSpec("k3s")), 0);
  Exit(3);
  os_.spawn_error = ENOEXEC;
  TestSpec spec = MakeSpec("k3s");
  strcpy(spec.body.tag, "v2");
  EXPECT_EQ(Start(spec), ENOEXEC);
  EXPECT_STREQ(Get("k3s").tag, "v1");
  EXPECT_EQ(Get("k3s").exit_code, 3);
  EXPECT_EQ(StateOf("k3s"), State::kFailed);
}

TEST_F(SupervisorTest, ARestartThatCannotForkBacksOffAgain) {
  TestSpec spec = MakeSpec("k3s");
  spec.body.always = 1;
  ASSERT_EQ(Start(spec), 0);
  Exit(1);
  os_.spawn_error = EAGAIN;
  Pass(5 * kSecond);
  EXPECT_EQ(StateOf("k3s"), State::kBackingOff);
  EXPECT_EQ(Get("k3s").exit_code, 127);
  os_.spawn_error = 0;
  Pass(10 * kSecond);
  EXPECT_EQ(StateOf("k3s"), State::kRunning);
}

TEST_F(SupervisorTest, I5_TheRingKeepsTheNewestBytesAndCountsAll) {
  ASSERT_EQ(Start(MakeSpec("k3s")), 0);
  std::string text;
  for (int i = 0; text.size() < kRingSize + 100000; ++i) text += std::to_string(i) + "\n";
  for (size_t at = 0; at < text.size(); at += 50000) {
    os_.output[os_.last_io.out_read] = text.substr(at, 50000);
    supervisor_->OnReadable(os_.watched[os_.last_io.out_read]);
  }
  OutputReply reply;
  int reader = -1;
  ASSERT_EQ(supervisor_->Output("k3s", &reply, &reader), 0);
  ASSERT_EQ(reply.written, text.size());
  const std::string& ring = os_.ring[os_.rings_by_reader[reader]];
  size_t split = reply.written % kRingSize;
  EXPECT_EQ(ring.substr(split) + ring.substr(0, split), text.substr(text.size() - kRingSize));
}

TEST_F(SupervisorTest, I5_ARingWithoutMemoryLosesTextNotTheService) {
  ASSERT_EQ(Start(MakeSpec("k3s")), 0);
  os_.ring_full = true;
  os_.output[os_.last_io.out_read] = "lost";
  OutputReply reply;
  int reader = -1;
  ASSERT_EQ(supervisor_->Output("k3s", &reply, &reader), 0);
  EXPECT_EQ(reply.written, 0u);
  EXPECT_TRUE(os_.output[os_.last_io.out_read].empty());
  EXPECT_EQ(StateOf("k3s"), State::kRunning);
}

TEST_F(SupervisorTest, TheLastWordsAreKeptBeforeTheExitIsTold) {
  TestSpec spec = MakeSpec("fetch");
  spec.body.flags = kNotify;
  ASSERT_EQ(Start(spec), 0);
  os_.output[os_.last_io.out_read] = "fatal: no space";
  os_.notifications = {{"READY=1", started_.pid}};
  Exit(1);
  auto events = Events();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].kind, static_cast<uint32_t>(EventKind::kReady));
  EXPECT_EQ(events[2].kind, static_cast<uint32_t>(EventKind::kExit));
  OutputReply reply;
  int reader = -1;
  ASSERT_EQ(supervisor_->Output("fetch", &reply, &reader), 0);
  EXPECT_EQ(os_.ring[os_.rings_by_reader[reader]].substr(0, reply.written), "fatal: no space");
}

TEST_F(SupervisorTest, EventsAreNumberedAndALossIsTold) {
  for (int i = 0; i < 40; ++i) {  // two events each
    ASSERT_EQ(Start(MakeSpec("fetch")), 0);
    Exit(i);
  }
  auto events = Events(0);
  ASSERT_EQ(events.size(), kMaxEvents + 1);
  EXPECT_EQ(events[0].kind, static_cast<uint32_t>(EventKind::kLost));
  EXPECT_EQ(events[0].seq, 16u);
  EXPECT_EQ(events[1].seq, 17u);
  EXPECT_EQ(events.back().seq, 80u);
  EXPECT_EQ(events.back().exit_code, 39);
  EXPECT_EQ(Events(16).size(), kMaxEvents);  // none lost
  EXPECT_EQ(Events(79).size(), 1u);
  EXPECT_TRUE(Events(80).empty());
  EXPECT_TRUE(Events(UINT64_MAX).empty());
}

TEST_F(SupervisorTest, AFullTableGivesUpWhatEndedFirstAndNeverWhatRuns) {
  for (size_t i = 0; i < kMaxServices; ++i) {
    ASSERT_EQ(Start(MakeSpec("s" + std::to_string(i))), 0);
  }
  EXPECT_EQ(Start(MakeSpec("more")), ENOSPC);
  Pass(kSecond);
  EXPECT_TRUE(supervisor_->OnExit({os_.services[5].pid, 0, 0}));
  Pass(kSecond);
  EXPECT_TRUE(supervisor_->OnExit({os_.services[3].pid, 0, 0}));
  size_t open = os_.open.size();
  EXPECT_EQ(Start(MakeSpec("more")), 0);
  EXPECT_EQ(os_.open.size(), open + 1);  // the program; the slot's own descriptors were exchanged
  EXPECT_EQ(StateOf("s3"), State::kStopped);
  EXPECT_EQ(supervisor_->Stop("s5"), ENOENT);
}

TEST_F(SupervisorTest, ACgroupThatCannotBeHadIsFlagged) {
  os_.no_cgroups = true;
  TestSpec spec = MakeSpec("k3s");
  strcpy(spec.body.cgroup, "basalt/k3s");
  ASSERT_EQ(Start(spec), 0);
  EXPECT_EQ(os_.services[0].cgroup, "basalt/k3s");
  EXPECT_EQ(Get("k3s").cgroup_missing, 1);
}

TEST_F(SupervisorTest, EveryFieldOfAStartIsChecked) {
  auto refused = [&](auto change, int fds = 0) {
    TestSpec spec = MakeSpec("k3s");
    change(spec);
    int error = Start(spec, fds);
    EXPECT_TRUE(os_.open.empty());
    return error == EINVAL;
  };
  EXPECT_TRUE(refused([](TestSpec& s) { memset(s.body.name, 'a', kNameSize); }));
  EXPECT_TRUE(refused([](TestSpec& s) { memset(s.body.tag, 'a', kTagSize); }));
  EXPECT_TRUE(refused([](TestSpec& s) { memset(s.body.cgroup, 'a', kCgroupSize); }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.body.name[0] = 0; }));
  EXPECT_TRUE(refused([](TestSpec& s) { strcpy(s.body.name, "a/b"); }));
  EXPECT_TRUE(refused([](TestSpec& s) { strcpy(s.body.cgroup, "a/../../b"); }));
  EXPECT_TRUE(refused([](TestSpec& s) { strcpy(s.body.cgroup, "/a"); }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.body.argc = 0; }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.body.argc = 65535; }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.body.envc = 2; }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.strings.pop_back(); }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.strings.clear(); }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.strings += "x"; }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.body.delay_ns = -1; }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.body.max_delay_ns = 1; }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.body.rapid_ns = INT64_MAX; }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.body.stop_grace_ns = INT64_MIN; }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.body.fds = 1; }));
  EXPECT_TRUE(refused([](TestSpec& s) { s.body.fds = 5; }, 5));
}

TEST_F(SupervisorTest, T2_TimersFollowTheBootClockAlone) {
  TestSpec spec = MakeSpec("k3s");
  spec.body.always = 1;
  ASSERT_EQ(Start(spec), 0);
  Exit(1);
  // A suspend of ten years fires each timer once, and the service runs.
  Pass(10ll * 366 * 24 * 3600 * kSecond);
  EXPECT_EQ(StateOf("k3s"), State::kRunning);
  EXPECT_EQ(Get("k3s").starts, 2);
}

}  // namespace
}  // namespace basalt::init
