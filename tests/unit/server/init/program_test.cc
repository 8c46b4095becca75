#include "server/init/core/program.h"

#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/init/options.h"
#include "tests/unit/server/init/fake_os.h"

namespace basalt::init {
namespace {

class ProgramTest : public ::testing::Test {
 protected:
  ~ProgramTest() override { EXPECT_EQ(os_.bad_closes, 0); }

  void Begin(Settings settings = {}) {
    program_ = std::make_unique<Program>(os_, settings);
    ASSERT_EQ(program_->Start(), 0);
  }
  void Turn() {
    program_->ReapAll();
    program_->OnTime();
  }
  void Pass(int64_t ns) {
    os_.now += ns;
    Turn();
  }
  // The error of the reply to one packet from noded.
  int Ask(const std::string& packet, int fds = 0) {
    os_.sent.clear();
    os_.requests.push_back({packet, fds});
    program_->OnReadable(Channel::kToken);
    if (os_.sent.empty()) return -1;
    reply_ = os_.sent.back();
    ReplyHead head;
    memcpy(&head, reply_.data() + sizeof(Header), sizeof head);
    count_ = head.count;
    return head.error;
  }
  template <typename T>
  T Body(size_t index = 0) {
    T body;
    size_t at = sizeof(Header) + sizeof(ReplyHead) + index * sizeof body;
    EXPECT_GE(reply_.size(), at + sizeof body);
    memcpy(&body, reply_.data() + at, sizeof body);
    return body;
  }
  int Hello() { return Ask(Request(Op::kHello, HelloBody{.pid = 1})); }
  int StartService(const std::string& name) {
    TestSpec spec = MakeSpec(name);
    return Ask(Request(Op::kStart, spec.body, spec.strings), 1);
  }
  int Wakes() const {
    int wakes = 0;
    for (const std::string& packet : os_.sent) {
      Header header;
      memcpy(&header, packet.data(), sizeof header);
      wakes += header.op == static_cast<uint16_t>(Op::kWake);
    }
    return wakes;
  }

  FakeOs os_;
  std::unique_ptr<Program> program_;
  std::string reply_;
  uint32_t count_ = 0;
};

TEST_F(ProgramTest, I1_ThreeRestartsOfNodedComeWithinOneSecondThenTheyBackOff) {
  Begin();
  int64_t begin = os_.now;
  for (int i = 0; i < 3; ++i) {
    os_.End(os_.noded_pid, 0, SIGSEGV);
    Turn();
    while (os_.noded_starts.size() < static_cast<size_t>(i) + 2) {
      os_.now = program_->NextDeadline();
      Turn();
    }
  }
  EXPECT_EQ(os_.noded_starts[1], begin);
  EXPECT_LE(os_.noded_starts[3] - begin, kSecond);
  for (int64_t seconds : {1, 2, 4, 8, 16, 30, 30, 30}) {
    os_.End(os_.noded_pid, 1);
    Turn();
    EXPECT_EQ(program_->NextDeadline() - os_.now, seconds * kSecond);
    Pass(seconds * kSecond);
  }
  Pass(10 * kSecond);  // settled: the next crash is answered at once
  size_t starts = os_.noded_starts.size();
  os_.End(os_.noded_pid, 1);
  Turn();
  EXPECT_EQ(os_.noded_starts.size(), starts + 1);
}

TEST_F(ProgramTest, I1_ServicesRunOnWhileNodedIsReplacedAndTheNewOneCatchesUp) {
  Begin();
  ASSERT_EQ(Hello(), 0);
  ASSERT_EQ(StartService("k3s"), 0);
  int pid = Body<StartReply>().pid;
  os_.End(os_.noded_pid, 0, SIGKILL);
  Turn();
  EXPECT_TRUE(os_.kills.empty());
  EXPECT_NE(Ask(Request(Op::kList)), 0);  // not before HELLO
  ASSERT_EQ(Hello(), 0);
  EXPECT_EQ(Body<HelloReply>().last_seq, 1u);
  ASSERT_EQ(Ask(Request(Op::kList)), 0);
  ASSERT_EQ(count_, 1u);
  EXPECT_EQ(Body<ServiceRecord>().pid, pid);
  EXPECT_STREQ(Body<ServiceRecord>().tag, "v1");
  ASSERT_EQ(Ask(Request(Op::kEvents, EventsBody{0})), 0);
  EXPECT_EQ(count_, 1u);
}

TEST_F(ProgramTest, AConfigurationErrorOfTheFirstNodedEndsWithItsCode) {
  Begin();
  os_.End(os_.noded_pid, kConfigurationError);
  Turn();
  EXPECT_TRUE(program_->done());
  EXPECT_EQ(program_->exit_code(), kConfigurationError);
}

TEST_F(ProgramTest, AConfigurationErrorThatIsFoundAfterHelloEndsWithItsCodeToo) {
  Begin();
  ASSERT_EQ(Hello(), 0);  // the port, say, is tried later
  os_.End(os_.noded_pid, kConfigurationError);
  Turn();
  EXPECT_TRUE(program_->done());
  EXPECT_EQ(program_->exit_code(), kConfigurationError);
}

TEST_F(ProgramTest, Code64OfALaterNodedIsACrashLikeAnyOther) {
  Begin();
  os_.End(os_.noded_pid, 1);
  Turn();
  os_.End(os_.noded_pid, kConfigurationError);
  Turn();
  EXPECT_FALSE(program_->done());
}

TEST_F(ProgramTest, I3_EveryEndedChildIsReapedEachTurn) {
  Begin();
  for (int i = 0; i < 10000; ++i) os_.End(100000 + i, 0);
  Turn();
  EXPECT_TRUE(os_.ended.empty());
  EXPECT_EQ(program_->supervisor().last_seq(), 0u);  // nobody's event
}

TEST_F(ProgramTest, I8_ShutdownStopsServicesThenNodedAndIsBounded) {
  Begin({.stop_limit_ns = 30 * kSecond});
  ASSERT_EQ(Hello(), 0);
  ASSERT_EQ(StartService("k3s"), 0);
  int k3s = Body<StartReply>().pid;
  int noded = os_.noded_pid;
  program_->OnSignal(SIGTERM);
  Turn();
  EXPECT_EQ(StartService("other"), ESHUTDOWN);
  EXPECT_EQ(os_.kills, (std::vector<std::pair<int, int>>{{k3s, SIGTERM}}));
  Pass(20 * kSecond);  // its own grace
  EXPECT_EQ(os_.kills.back(), (std::pair<int, int>{k3s, SIGKILL}));
  Pass(15 * kSecond);  // in D state: given up 5 s after the limit
  EXPECT_EQ(os_.kills.back(), (std::pair<int, int>{noded, SIGTERM}));
  Pass(10 * kSecond);
  EXPECT_EQ(os_.kills.back(), (std::pair<int, int>{noded, SIGKILL}));
  Pass(5 * kSecond);
  EXPECT_TRUE(program_->done());
  EXPECT_EQ(program_->exit_code(), 1);
}

TEST_F(ProgramTest, AnOrderlyShutdownEndsWithZero) {
  Begin();
  ASSERT_EQ(Hello(), 0);
  ASSERT_EQ(StartService("k3s"), 0);
  program_->OnSignal(SIGINT);
  Turn();
  os_.End(Body<StartReply>().pid, 0, SIGTERM);
  Turn();
  os_.End(os_.noded_pid, 0);
  Turn();
  EXPECT_TRUE(program_->done());
  EXPECT_EQ(program_->exit_code(), 0);
  EXPECT_EQ(os_.noded_starts.size(), 1u);
}

TEST_F(ProgramTest, ASecondSignalKillsWhatIsLeft) {
  Begin();
  ASSERT_EQ(Hello(), 0);
  ASSERT_EQ(StartService("k3s"), 0);
  int k3s = Body<StartReply>().pid;
  program_->OnSignal(SIGTERM);
  program_->OnSignal(SIGTERM);
  Turn();
  EXPECT_EQ(os_.kills.back(), (std::pair<int, int>{k3s, SIGKILL}));
  os_.End(k3s, 0, SIGKILL);
  Turn();
  EXPECT_EQ(os_.kills.back(), (std::pair<int, int>{os_.noded_pid, SIGKILL}));
}

TEST_F(ProgramTest, OtherSignalsChangeNothing) {
  Begin();
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal != SIGTERM && signal != SIGINT) program_->OnSignal(signal);
  }
  Turn();
  EXPECT_FALSE(program_->done());
  EXPECT_TRUE(os_.kills.empty());
}

TEST_F(ProgramTest, OneWakeIsSentUntilNodedAsksForEvents) {
  Begin();
  ASSERT_EQ(Hello(), 0);
  ASSERT_EQ(StartService("a"), 0);
  os_.sent.clear();
  Turn();
  EXPECT_EQ(Wakes(), 1);
  ASSERT_EQ(StartService("b"), 0);
  Turn();
  EXPECT_EQ(Wakes(), 0);
  ASSERT_EQ(Ask(Request(Op::kEvents, EventsBody{0})), 0);
  Turn();
  EXPECT_EQ(Wakes(), 0);
  os_.sent.clear();
  os_.End(os_.services[0].pid, 0);
  Turn();
  EXPECT_EQ(Wakes(), 1);
}

TEST_F(ProgramTest, AWakeThatDidNotFitIsSentLater) {
  Begin();
  ASSERT_EQ(Hello(), 0);
  ASSERT_EQ(StartService("a"), 0);
  os_.send_error = EAGAIN;
  Turn();
  os_.send_error = 0;
  os_.sent.clear();
  Turn();
  EXPECT_EQ(Wakes(), 1);
}

TEST_F(ProgramTest, I6_AWatchdogKillsANodedThatStopsFeeding) {
  Begin({.watchdog_ns = 10 * kSecond});
  ASSERT_EQ(Hello(), 0);
  Pass(9 * kSecond);
  ASSERT_EQ(Ask(Request(Op::kFeed)), 0);
  Pass(9 * kSecond);
  EXPECT_TRUE(os_.kills.empty());
  Pass(1 * kSecond);
  EXPECT_EQ(os_.kills, (std::vector<std::pair<int, int>>{{os_.noded_pid, SIGKILL}}));
}

TEST_F(ProgramTest, WithoutAWatchdogALapseIsOnlyCountedOnce) {
  Begin();
  ASSERT_EQ(Hello(), 0);
  Pass(31 * kSecond);
  Pass(300 * kSecond);
  EXPECT_TRUE(os_.kills.empty());
  ASSERT_EQ(Hello(), 0);
  EXPECT_EQ(Body<HelloReply>().missed_feeds, 1u);
}

TEST_F(ProgramTest, MalformedPacketsAreAnsweredAndLeakNothing) {
  Begin();
  ASSERT_EQ(Hello(), 0);
  size_t open = os_.open.size();
  std::string good = Request(Op::kList);
  auto broken = [&](size_t at, char with) {
    std::string packet = good;
    packet[at] = with;
    return packet;
  };
  EXPECT_EQ(Ask("x", 3), EPROTO);
  EXPECT_EQ(Ask(broken(0, 'x')), EPROTO);
  EXPECT_EQ(Ask(broken(12, 1)), EPROTO);
  EXPECT_EQ(Ask(broken(4, 9)), EPROTONOSUPPORT);
  EXPECT_EQ(Ask(Request(static_cast<Op>(99)), 8), ENOSYS);
  EXPECT_EQ(Ask(Request(Op::kList) + "x"), EPROTO);
  EXPECT_EQ(Ask(std::string(kMaxPacket + 1, 'x')), EPROTO);
  EXPECT_EQ(Ask(Request(Op::kStop, EventsBody{})), EPROTO);
  NameBody endless;
  memset(endless.name, 'a', sizeof endless.name);
  EXPECT_EQ(Ask(Request(Op::kStop, endless)), EPROTO);
  EXPECT_EQ(Ask(Request(Op::kOutput, NameBody{"nobody"})), ENOENT);
  TestSpec spec = MakeSpec("k3s");
  EXPECT_EQ(Ask(Request(Op::kStart, spec.body, spec.strings), 0), EPROTO);
  EXPECT_EQ(Ask(Request(Op::kStart, spec.body, spec.strings), 2), EINVAL);
  EXPECT_EQ(os_.open.size(), open);
  EXPECT_EQ(Ask(good), 0);  // and it goes on
}

TEST(Options, NameWhatIsWrong) {
  std::vector<const char*> args;  // Options points into it
  auto parse = [&](std::vector<const char*> words, Options* options) {
    args = std::move(words);
    args.insert(args.begin(), "noded-init");
    args.push_back(nullptr);
    return ParseOptions(static_cast<int>(args.size()) - 1, const_cast<char**>(args.data()),
                        options);
  };
  Options options;
  EXPECT_EQ(parse({"--watchdog", "5", "--cgroup-base", "/c", "--", "noded", "serve"}, &options),
            nullptr);
  EXPECT_EQ(options.settings.watchdog_ns, 5 * kSecond);
  EXPECT_STREQ(options.cgroup_base, "/c");
  EXPECT_STREQ(options.noded[1], "serve");
  EXPECT_NE(parse({"noded"}, &options), nullptr);
  EXPECT_NE(parse({"--"}, &options), nullptr);
  EXPECT_NE(parse({"--watchdog"}, &options), nullptr);
  EXPECT_NE(parse({"--watchdog", "5x", "--", "noded"}, &options), nullptr);
  EXPECT_NE(parse({"--stop-limit", "-1", "--", "noded"}, &options), nullptr);
  EXPECT_NE(parse({"--cgroup-base", "c", "--", "noded"}, &options), nullptr);
}

}  // namespace
}  // namespace basalt::init
