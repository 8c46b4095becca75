// PID 1 beside supervising: watchdog, trial, what ends the machine and how.
#include "server/init/boot/duties.h"

#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>

#include "server/init/boot/end.h"
#include "server/init/core/program.h"
#include "server/init/options.h"
#include "tests/unit/server/init/fake_machine.h"
#include "tests/unit/server/init/fake_os.h"

namespace basalt::init {
namespace {

constexpr char kGuid[] = "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

class Pid1Test : public ::testing::Test {
 protected:
  void Begin() {
    machine_.now = os_.now;
    duties_ = std::make_unique<MachineDuties>(machine_);
    duties_->Start();
    os_.now = machine_.now;
    program_ = std::make_unique<Program>(
        os_, Settings{.watchdog_ns = kPid1Watchdog, .init_pid = 1, .duties = duties_.get()});
    ASSERT_EQ(program_->Start(), 0);
    EXPECT_EQ(Ask(Request(Op::kHello, HelloBody{.pid = 1})), 0);
  }
  void OnTrial() {
    auto variable = [](const std::string& text) {
      std::string out("\6\0\0\0", 4);
      for (char c : text + std::string(1, '\0')) out += std::string{c, '\0'};
      return out;
    };
    machine_.files[std::string("/sys/firmware/efi/efivars/LoaderBootCountPath") + kGuid] =
        variable("\\EFI\\Linux\\noded_2+2-1.efi");
    machine_.files[std::string("/sys/firmware/efi/efivars/LoaderEntrySelected") + kGuid] =
        variable("noded_2+3.efi");
  }
  // Lets time pass in steps that a loop would take: to the next deadline, or to the end.
  void Pass(int64_t ns) {
    for (int64_t until = os_.now + ns; os_.now < until;) {
      int64_t next = program_->NextDeadline();
      ASSERT_GT(next, os_.now) << "the loop would spin";
      os_.now = machine_.now = next < until ? next : until;
      program_->ReapAll();
      program_->OnTime();
    }
  }
  int Ask(const std::string& packet) {
    os_.sent.clear();
    os_.requests.push_back({packet, 0});
    program_->OnReadable(Channel::kToken);
    ReplyHead head = {};
    if (os_.sent.empty()) return -1;
    memcpy(&head, os_.sent.back().data() + sizeof(Header), sizeof head);
    return head.error;
  }
  // The services are none; noded ends as it is told.
  void FinishEnd() {
    program_->OnTime();
    ASSERT_FALSE(os_.kills.empty());
    EXPECT_EQ(os_.kills.back(), (std::pair<int, int>{os_.noded_pid, SIGTERM}));
    os_.End(os_.noded_pid, 0);
    program_->ReapAll();
    program_->OnTime();
    EXPECT_TRUE(program_->done());
  }
  bool Ending() {
    program_->OnTime();
    return !os_.kills.empty() && os_.kills.back().second == SIGTERM;
  }

  FakeOs os_;
  FakeMachine machine_;
  std::unique_ptr<MachineDuties> duties_;
  std::unique_ptr<Program> program_;
};

TEST_F(Pid1Test, I6_TheWatchdogIsPettedWhileNodedFeeds) {
  Begin();
  for (int i = 0; i < 20; ++i) {
    Pass(30 * kSecond);
    EXPECT_EQ(Ask(Request(Op::kFeed)), 0);
  }
  for (size_t i = 1; i < machine_.pets.size(); ++i) {
    EXPECT_LE(machine_.pets[i] - machine_.pets[i - 1], 15 * kSecond);
  }
  EXPECT_GT(machine_.pets.back(), os_.now - 15 * kSecond);
  EXPECT_FALSE(program_->done());
}

TEST_F(Pid1Test, TheWatchdogWaitsAsLongAsNodedSaysAndIsPettedAccordingly) {
  Begin();
  ASSERT_EQ(Ask(Request(Op::kWatchdog, WatchdogBody{.timeout_ns = 20 * kSecond})), 0);
  EXPECT_EQ(machine_.done.back(), "watchdog 20");
  const size_t before = machine_.pets.size();
  for (int i = 0; i < 4; ++i) {
    Pass(5 * kSecond);
    EXPECT_EQ(Ask(Request(Op::kFeed)), 0);
  }
  EXPECT_GE(machine_.pets.size(), before + 4);
  for (int64_t bad : {int64_t{0}, int64_t{-1}, 3 * kSecond, int64_t{1} << 62}) {
    EXPECT_EQ(Ask(Request(Op::kWatchdog, WatchdogBody{.timeout_ns = bad})), EINVAL);
  }
  EXPECT_EQ(Ask(Request(Op::kWatchdog)), EPROTO);
}

TEST_F(Pid1Test, I6_ANodedThatHangsIsReplacedAndThenTheMachineRestarts) {
  Begin();
  Pass(61 * kSecond);
  ASSERT_FALSE(os_.kills.empty());
  EXPECT_EQ(os_.kills.back(), (std::pair<int, int>{os_.noded_pid, SIGKILL}));
  EXPECT_FALSE(Ending());
  Pass(120 * kSecond);
  EXPECT_TRUE(Ending());
  EXPECT_TRUE(program_->reboot());
  EXPECT_NE(os_.said.back().find("no sign of life"), std::string::npos);
  // The end is petted too, since it has limits of its own.
  EXPECT_GT(machine_.pets.back(), os_.now - 16 * kSecond);
}

TEST_F(Pid1Test, I6_ANodedThatHangsAfterEachStartEndsInARestart) {
  Begin();
  for (int hangs = 0; hangs < 2; ++hangs) {
    Pass(61 * kSecond);
    ASSERT_EQ(os_.kills.back(), (std::pair<int, int>{os_.noded_pid, SIGKILL})) << hangs;
    os_.End(os_.noded_pid, 0, SIGKILL);
    Pass(kSecond);
    ASSERT_EQ(Ask(Request(Op::kHello, HelloBody{.pid = 1})), 0);
  }
  Pass(58 * kSecond);
  EXPECT_TRUE(Ending());
  EXPECT_TRUE(program_->reboot());
}

TEST_F(Pid1Test, I1_ANodedThatCrashesForEverLeavesK3sAlone) {
  Begin();
  for (int crashes = 0; crashes < 40; ++crashes) {
    os_.End(os_.noded_pid, 0, SIGSEGV);
    program_->ReapAll();
    program_->OnTime();
    Pass(31 * kSecond);
    ASSERT_EQ(Ask(Request(Op::kHello, HelloBody{.pid = 1})), 0);
  }
  EXPECT_FALSE(Ending());
}

TEST_F(Pid1Test, I6_ANodedThatNeverComesUpEndsTheBootToo) {
  machine_.now = os_.now;
  duties_ = std::make_unique<MachineDuties>(machine_);
  duties_->Start();
  os_.now = machine_.now;
  os_.spawn_error = ENOENT;
  program_ = std::make_unique<Program>(
      os_, Settings{.watchdog_ns = kPid1Watchdog, .init_pid = 1, .duties = duties_.get()});
  ASSERT_EQ(program_->Start(), 0);  // PID 1 goes on trying
  Pass(179 * kSecond);
  EXPECT_FALSE(program_->done());
  Pass(2 * kSecond);
  EXPECT_TRUE(program_->done());
  EXPECT_TRUE(program_->reboot());
}

TEST_F(Pid1Test, WithoutAWatchdogItSaysSoAndRestartsByItself) {
  machine_.watchdog_error = ENOENT;
  Begin();
  EXPECT_TRUE(machine_.Said("watchdog: none"));
  Pass(30 * kSecond);
  EXPECT_TRUE(machine_.pets.empty());
  Pass(151 * kSecond);
  EXPECT_TRUE(Ending());
  EXPECT_TRUE(program_->reboot());
}

TEST_F(Pid1Test, ADeviceThatWaitsLessIsPettedMoreOften) {
  machine_.watchdog_ns = 8 * kSecond;
  Begin();
  Pass(20 * kSecond);
  EXPECT_GE(machine_.pets.size(), 10u);
}

TEST_F(Pid1Test, ATrialThatNobodyCallsGoodGoesBack) {
  OnTrial();
  Begin();
  for (int i = 0; i < 29; ++i) {
    Pass(30 * kSecond);
    ASSERT_EQ(Ask(Request(Op::kFeed)), 0);
  }
  EXPECT_FALSE(Ending());
  Pass(31 * kSecond);
  EXPECT_TRUE(Ending());
  EXPECT_TRUE(program_->reboot());
  EXPECT_NE(os_.said.back().find("trial"), std::string::npos);
}

TEST_F(Pid1Test, ATrialThatCannotBeRenamedIsStillNotGood) {
  OnTrial();
  machine_.directories.insert("/sys/class/block");
  Begin();
  EXPECT_EQ(Ask(Request(Op::kHealthy)), ENODEV);  // no ESP
  for (int i = 0; i < 31; ++i) {
    Pass(30 * kSecond);
    if (Ending()) break;
    Ask(Request(Op::kFeed));
  }
  EXPECT_TRUE(program_->reboot());
}

TEST_F(Pid1Test, ABootThatIsNotCountedIsGoodWhenNodedSaysSo) {
  Begin();
  EXPECT_EQ(Ask(Request(Op::kHealthy)), 0);
  EXPECT_EQ(Ask(Request(Op::kHealthy)), 0);
}

TEST_F(Pid1Test, NodedAsksForTheEnd) {
  Begin();
  EXPECT_EQ(Ask(Request(Op::kEnd, EndBody{.reboot = 1})), 0);
  FinishEnd();
  EXPECT_TRUE(program_->reboot());
}

TEST_F(Pid1Test, NodedAsksForPowerOff) {
  Begin();
  EXPECT_EQ(Ask(Request(Op::kEnd, EndBody{.reboot = 0})), 0);
  FinishEnd();
  EXPECT_FALSE(program_->reboot());
}

TEST_F(Pid1Test, I2_EverySignalIsDefined) {
  for (int signal = 1; signal <= 64; ++signal) {
    os_ = FakeOs();
    machine_ = FakeMachine();
    Begin();
    program_->OnSignal(signal);
    bool ends = signal == SIGTERM || signal == SIGINT || signal == SIGPWR;
    EXPECT_EQ(Ending(), ends) << signal;
    EXPECT_EQ(program_->reboot(), signal == SIGINT) << signal;
  }
}

TEST_F(Pid1Test, HowItEndsIsDecidedByTheFirstSignal) {
  Begin();
  program_->OnSignal(SIGINT);
  program_->OnTime();
  program_->OnSignal(SIGTERM);  // hurries
  EXPECT_TRUE(program_->reboot());
}

TEST_F(Pid1Test, ExitCode64DoesNotEndPid1) {
  Begin();
  os_.End(os_.noded_pid, kConfigurationError);
  program_->ReapAll();
  program_->OnTime();
  EXPECT_EQ(os_.noded_starts.size(), 2u);
  EXPECT_FALSE(program_->done());
}

TEST_F(Pid1Test, ItTellsHowItFoundTheMachine) {
  machine_.AddPartition("vda4", "STATE", 32 << 20);
  machine_.files["/dev/vda4"][0] = 'x';
  Begin();
  ASSERT_EQ(Ask(Request(Op::kBoot)), 0);
  BootReply boot;
  ASSERT_EQ(os_.sent.back().size(), sizeof(Header) + sizeof(ReplyHead) + sizeof boot);
  memcpy(&boot, os_.sent.back().data() + sizeof(Header) + sizeof(ReplyHead), sizeof boot);
  EXPECT_EQ(boot.owns_kernel, 1);
  EXPECT_EQ(boot.watchdog, 1);
  EXPECT_EQ(boot.state, static_cast<uint8_t>(VolumeState::kForeign));
  EXPECT_NE(std::string(boot.state_reason).find("/dev/vda4"), std::string::npos);
  EXPECT_EQ(boot.data, static_cast<uint8_t>(VolumeState::kMissing));
  EXPECT_EQ(boot.data_error, ENODEV);
}

TEST_F(Pid1Test, ItsOpsWantTheirExactSizeAndPid1) {
  Begin();
  EXPECT_EQ(Ask(Request(Op::kHealthy, EndBody{})), EPROTO);
  EXPECT_EQ(Ask(Request(Op::kEnd)), EPROTO);
  EXPECT_EQ(Ask(Request(Op::kBoot, EndBody{})), EPROTO);
  program_ = std::make_unique<Program>(os_, Settings{});
  ASSERT_EQ(program_->Start(), 0);
  ASSERT_EQ(Ask(Request(Op::kHello, HelloBody{.pid = 1})), 0);
  for (Op op : {Op::kHealthy, Op::kBoot}) EXPECT_EQ(Ask(Request(op)), EOPNOTSUPP);
  EXPECT_EQ(Ask(Request(Op::kEnd, EndBody{.reboot = 1})), EOPNOTSUPP);
  EXPECT_EQ(Ask(Request(Op::kWatchdog, WatchdogBody{.timeout_ns = 20 * kSecond})), EOPNOTSUPP);
  EXPECT_FALSE(Ending());
}

TEST_F(Pid1Test, AContainerNeverRestartsItsHost) {
  machine_.owns_kernel = false;
  machine_.directories = {"/state", "/data"};
  Begin();
  for (int i = 0; i < 30; ++i) Pass(60 * kSecond);
  EXPECT_FALSE(Ending());
  EXPECT_TRUE(machine_.pets.empty());
}

TEST(End, I10_WhatEscapedIsKilledByItsCgroupThenAllIsFlushed) {
  FakeMachine machine;
  machine.children = 3;
  machine.mounts.push_back({"/dev/vda4", "/state", "ext4", "", 0});
  machine.files["/sys/fs/cgroup/kubepods/cgroup.kill"] = "";
  machine.files["/proc/self/mounts"] =
      "/dev/dm-0 / erofs ro 0 0\nproc /proc proc rw 0 0\n/dev/vda4 /state ext4 rw 0 0\n"
      "/dev/vda5 /data ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/vda5 /var ext4 rw 0 0\n"
      "shm /opt/a\\040b tmpfs rw 0 0\n";
  EndMachine(machine, End::kPowerOff);
  long last = -1;
  for (const char* step : {"signal 15", "write /sys/fs/cgroup/kubepods/cgroup.kill 1", "signal 9",
                           "replace /state/random-seed", "sync", "unmount /opt/a b", "unmount /var",
                           "unmount /data", "unmount /state", "power off"}) {
    long at = machine.Find(step);
    EXPECT_GT(at, last) << step;
    last = at;
  }
  EXPECT_EQ(machine.Find("unmount /run"), -1);
  EXPECT_EQ(machine.Find("unmount /proc"), -1);
  EXPECT_EQ(machine.done.back(), "power off");
}

TEST(End, I8_AProcessInDStateAndABusyFileSystemCostTheirLimit) {
  FakeMachine machine;
  machine.children = machine.survivors = 1;
  machine.files["/proc/self/mounts"] = "/dev/vda5 /data ext4 rw 0 0\n";
  machine.Fail("unmount", "/data", EBUSY);
  int64_t begin = machine.now;
  EndMachine(machine, End::kReboot);
  EXPECT_LE(machine.now - begin, kTermLimit + kKillLimit + kFlushLimit);
  EXPECT_TRUE(machine.Said("[process-left]"));
  // Busy: read-only, so that nothing is lost.
  EXPECT_EQ(machine.mounts.back().flags, 32u | 1u);
  EXPECT_EQ(machine.done.back(), "reboot");
}

TEST(End, AContainerLeavesTheFileSystemsOfItsHostWritable) {
  FakeMachine machine;
  machine.owns_kernel = false;
  machine.files["/proc/self/mounts"] = "/dev/sda1 /data ext4 rw 0 0\n";
  machine.files["/sys/fs/cgroup/system/cgroup.kill"] = "";
  machine.Fail("unmount", "/data", EBUSY);
  machine.children = 1;
  EndMachine(machine, End::kReboot);
  EXPECT_TRUE(machine.mounts.empty());
  EXPECT_EQ(machine.Find("write"), -1);
}

TEST(End, AnEndWithNobodyLeftTakesNoTime) {
  FakeMachine machine;
  int64_t begin = machine.now;
  EndMachine(machine, End::kReboot);
  EXPECT_EQ(machine.now, begin);
  EXPECT_EQ(machine.Find("signal 9"), -1);
}

TEST(End, P8_MountPointsOfOddLines) {
  char path[16];
  auto read = [&](const std::string& line) {
    return MountPointOf(line.data(), line.size(), path, sizeof path) ? std::string(path) : "-";
  };
  EXPECT_EQ(read("a /b c"), "/b");
  EXPECT_EQ(read("a /b\\011c d"), "/b\tc");
  for (const char* odd :
       {"", "a", "a ", "a b c", "a /b", "a /b\\0", "a /b\\04", "a /0123456789abcdef c"}) {
    EXPECT_EQ(read(odd), "-") << odd;
  }
}

TEST(Options, Pid1KnowsWhatToStart) {
  auto parse = [](std::vector<std::string> words, Options* options) {
    static std::vector<std::string> kept;
    kept = std::move(words);
    static std::vector<char*> argv;
    argv.clear();
    for (std::string& word : kept) argv.push_back(word.data());
    argv.push_back(nullptr);
    return ParseOptions(static_cast<int>(kept.size()), argv.data(), options);
  };
  Options options;
  ASSERT_EQ(parse({"noded-init", "--pid1"}, &options), nullptr);
  EXPECT_TRUE(options.pid1);
  EXPECT_STREQ(options.noded[0], "/usr/bin/noded");
  EXPECT_STREQ(options.noded[1], "serve");
  EXPECT_EQ(options.settings.watchdog_ns, kPid1Watchdog);
  EXPECT_STREQ(options.cgroup_base, "/sys/fs/cgroup");
  Options other;
  ASSERT_EQ(parse({"noded-init", "--pid1", "--stop-limit", "5", "--", "/bin/x", "y"}, &other),
            nullptr);
  EXPECT_STREQ(other.noded[1], "y");
  EXPECT_EQ(other.settings.stop_limit_ns, 5 * kSecond);
  Options wrong;
  EXPECT_NE(parse({"noded-init", "--pid1", "--rood"}, &wrong), nullptr);
}

}  // namespace
}  // namespace basalt::init
