// noded-init as PID 1 of namespaces of its own: what only a kernel can show. The machine itself,
// with partitions and a boot loader, is for a virtual one.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "tests/component/init/real_init.h"

namespace basalt::testing {
namespace {

using Kind = host::ServiceEvent::Kind;

class Pid1 : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!init_.running()) GTEST_SKIP() << init_.why();
    noded_ = init_.AwaitNoded();
    Connect();
  }
  void Connect() {
    auto connected = host::ConnectSupervisor(std::move(noded_.channel));
    ASSERT_TRUE(connected.ok()) << connected.status();
    supervisor_ = *std::move(connected);
  }
  std::string OfInit(const std::string& file) {
    std::ifstream in(absl::StrCat("/proc/", init_.pid(), "/", file));
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  // How the namespace ended: the kernel tells by the signal that it says PID 1 died of.
  void ExpectEnd(int signal) {
    int status = init_.AwaitExit();
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), signal);
  }

  RealInit init_{{"--stop-limit", "5"}, RealInit::As::kPid1};
  RelayedNoded noded_;
  std::unique_ptr<host::Supervisor> supervisor_;
};

TEST_F(Pid1, I7_MountsWhatAContainerNeedsAndNothingOfItsHost) {
  std::istringstream lines(OfInit("mountinfo"));
  std::set<std::string> places;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, place, options, shared;
    words >> id >> parent >> device >> root >> place >> options >> shared;
    places.insert(place);
    EXPECT_TRUE(absl::StartsWith(shared, "shared:")) << line;  // kubelet wants it
    if (place == "/run" || place == "/tmp" || place == "/dev/shm") {
      EXPECT_TRUE(absl::StrContains(options, "nosuid") && absl::StrContains(options, "nodev"))
          << line;
    }
  }
  for (const char* place :
       {"/proc", "/dev/pts", "/dev/shm", "/run", "/tmp", "/etc/rancher", "/var"}) {
    EXPECT_TRUE(places.contains(place)) << place;
  }
  EXPECT_FALSE(places.contains("/sys"));
  EXPECT_FALSE(places.contains("/sys/fs/cgroup"));
  EXPECT_TRUE(absl::StrContains(OfInit("net/if_inet6"), " lo\n")) << OfInit("net/if_inet6");
  EXPECT_TRUE(absl::StrContains(OfInit("limits"), "Max core file size        0 "));

  auto boot = supervisor_->Boot();
  ASSERT_TRUE(boot.ok()) << boot.status();
  EXPECT_FALSE(boot->owns_kernel);
  EXPECT_FALSE(boot->state_missing || boot->data_missing);
  EXPECT_FALSE(boot->watchdog);
  EXPECT_EQ(boot->failed_steps, 0);
  EXPECT_TRUE(supervisor_->Healthy().ok());
}

TEST_F(Pid1, I1_NodedIsReplacedAndAServiceKeepsItsPid) {
  host::ServiceSpec spec = init_.Remote("k3s");
  spec.restart.always = true;
  ASSERT_TRUE(supervisor_->Start(std::move(spec)).ok());
  int pid = supervisor_->List()->front().pid;
  ASSERT_EQ(kill(noded_.pid, SIGKILL), 0);
  noded_ = init_.AwaitNoded();
  Connect();
  auto list = supervisor_->List();
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ(list->front().pid, pid);
  EXPECT_EQ(init_.Say("k3s", "say alive"), "ok");
}

TEST_F(Pid1, ItsMemoryIsBelowTwoMegabytes) {
  std::istringstream lines(OfInit("smaps_rollup"));
  long kilobytes = -1;
  for (std::string line; std::getline(lines, line);) {
    if (absl::StartsWith(line, "Rss:")) std::istringstream(line.substr(4)) >> kilobytes;
  }
  EXPECT_GT(kilobytes, 0);
  EXPECT_LT(kilobytes, 2048);
  RecordProperty("resident_kilobytes", std::to_string(kilobytes));
}

TEST_F(Pid1, Exit64DoesNotEndIt) {
  ASSERT_EQ(send(noded_.connection.get(), "64", 2, 0), 2);
  noded_ = init_.AwaitNoded();
  Connect();
  EXPECT_TRUE(supervisor_->Feed().ok());
}

TEST_F(Pid1, I2_EverySignalFromARootChild) {
  ASSERT_TRUE(supervisor_->Start(init_.Remote("attacker")).ok());
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal == SIGTERM || signal == SIGINT || signal == SIGPWR) continue;
    EXPECT_EQ(init_.Say("attacker", absl::StrCat("signal-init ", signal)), "sent") << signal;
    ASSERT_TRUE(supervisor_->Feed().ok()) << signal;
  }
  // A namespace is not the machine: from outside all but two are the same.
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal == SIGTERM || signal == SIGINT || signal == SIGPWR) continue;
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    ASSERT_EQ(kill(init_.pid(), signal), 0);
    ASSERT_TRUE(supervisor_->Feed().ok()) << signal;
  }
}

TEST_F(Pid1, I3_OrphansLeaveNoZombies) {
  ASSERT_TRUE(supervisor_->Start(init_.Remote("forker")).ok());
  ASSERT_EQ(init_.Say("forker", "orphans 200"), "done");  // their gate is closed: they end at once
  for (int turn = 0; turn < 100000; ++turn) {
    ASSERT_TRUE(supervisor_->Feed().ok());
    std::string children = OfInit(absl::StrCat("task/", init_.pid(), "/children"));
    if (std::count(children.begin(), children.end(), ' ') == 2) return;  // noded and the forker
  }
  FAIL() << OfInit(absl::StrCat("task/", init_.pid(), "/children"));
}

TEST_F(Pid1, SigtermSwitchesOff) {
  ASSERT_TRUE(supervisor_->Start(init_.Remote("k3s")).ok());
  init_.Signal(SIGTERM);
  ExpectEnd(SIGINT);
}

TEST_F(Pid1, PowerFailureSwitchesOff) {
  init_.Signal(SIGPWR);
  ExpectEnd(SIGINT);
}

TEST_F(Pid1, CtrlAltDelRestarts) {
  init_.Signal(SIGINT);
  ExpectEnd(SIGHUP);
}

TEST_F(Pid1, NodedAsksForARestart) {
  EXPECT_TRUE(supervisor_->EndMachine(true).ok());
  ExpectEnd(SIGHUP);
}

TEST_F(Pid1, I8_WhatIgnoresSigtermOrLeftItsSessionEndsInBoundedTime) {
  host::ServiceSpec spec = init_.Remote("stubborn");
  spec.stop_grace = absl::Milliseconds(50);
  int gate[2];
  ASSERT_EQ(pipe(gate), 0);
  spec.fds.emplace_back(gate[0]);
  ASSERT_TRUE(supervisor_->Start(std::move(spec)).ok());
  EXPECT_EQ(init_.Say("stubborn", "orphans 20"), "done");  // they wait for a gate that stays shut
  init_.Say("stubborn", "ignore-term");
  EXPECT_TRUE(supervisor_->EndMachine(false).ok());
  ExpectEnd(SIGINT);
  close(gate[1]);
}

TEST(NodedInit, Pid1IsForPid1) {
  int status = system(NODED_INIT " --pid1 2>/dev/null");
  EXPECT_EQ(WEXITSTATUS(status), 64);
}

}  // namespace
}  // namespace basalt::testing
