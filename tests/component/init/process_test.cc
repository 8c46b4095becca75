// noded-init as a process: what only a kernel can show.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/init/protocol.h"
#include "tests/component/init/real_init.h"

namespace basalt::testing {
namespace {

using Kind = host::ServiceEvent::Kind;
using host::ServiceState;

std::unique_ptr<host::Supervisor> Connect(RelayedNoded& noded) {
  auto supervisor = host::ConnectSupervisor(std::move(noded.channel));
  EXPECT_TRUE(supervisor.ok()) << supervisor.status().ToString();
  return *std::move(supervisor);
}

// Zombies and living children of `pid`, from /proc.
struct Children {
  int zombies = 0;
  int alive = 0;
};
Children ChildrenOf(pid_t pid) {
  Children out;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    int number = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &number)) continue;
    std::ifstream file(entry.path() / "stat");
    std::string stat((std::istreambuf_iterator<char>(file)), {});
    size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) continue;
    std::istringstream rest(stat.substr(name_end + 2));
    char state = 0;
    int parent = 0;
    rest >> state >> parent;
    if (parent == pid) ++(state == 'Z' ? out.zombies : out.alive);
  }
  return out;
}

TEST(NodedInit, I1_AServiceKeepsItsPidWhileNodedIsKilledAndReplaced) {
  RealInit init;
  RelayedNoded first = init.AwaitNoded();
  auto before = Connect(first);
  host::ServiceSpec spec = init.Remote("k3s");
  spec.restart.always = true;
  ASSERT_TRUE(before->Start(std::move(spec)).ok());
  int pid = before->List()->front().pid;
  ASSERT_EQ(kill(first.pid, SIGKILL), 0);

  RelayedNoded second = init.AwaitNoded();
  EXPECT_NE(second.pid, first.pid);
  auto after = Connect(second);
  auto list = after->List();
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ(list->front().pid, pid);
  EXPECT_EQ(list->front().starts, 1);
  EXPECT_EQ(list->front().tag, "tag-k3s");
  EXPECT_EQ(init.Say("k3s", "say alive"), "ok");
  EXPECT_EQ(*after->Output("k3s"), "alive");
  // The channel of the dead noded is dead too, and says so once.
  ASSERT_TRUE(AwaitReadable(before->event_fd()));
  EXPECT_EQ(api::Reason(before->Feed()), "supervisor-gone");
  before->DrainWakeups();
  pollfd idle = {.fd = before->event_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&idle, 1, 0), 0);
}

TEST(NodedInit, I1_ExitsWhileNodedIsAwayAreToldToTheNextOne) {
  RealInit init;
  RelayedNoded first = init.AwaitNoded();
  auto before = Connect(first);
  ASSERT_TRUE(before->Start(init.Remote("fetch")).ok());
  uint64_t seq = 0;
  AwaitEvent(*before, &seq, Kind::kStarted, "fetch");
  kill(first.pid, SIGKILL);
  init.Say("fetch", "exit 7", false);
  RelayedNoded second = init.AwaitNoded();
  auto after = Connect(second);
  EXPECT_EQ(AwaitEvent(*after, &seq, Kind::kExit, "fetch").exit_code, 7);
}

TEST(NodedInit, ConfigurationErrorOfTheFirstNodedIsItsOwnExitCode) {
  RealInit init;
  RelayedNoded noded = init.AwaitNoded();
  ASSERT_EQ(send(noded.connection.get(), "64", 2, 0), 2);
  int status = init.AwaitExit();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 64);
}

TEST(NodedInit, AServiceGetsExactlyWhatItsSpecSays) {
  RealInit init;
  RelayedNoded noded = init.AwaitNoded();
  auto supervisor = Connect(noded);
  host::ServiceSpec spec = init.Remote("k3s");
  spec.argv = {"k3s", "server", "with space"};
  spec.env = {"A=1", "NOTIFY_SOCKET=elsewhere", "B="};
  spec.nofile = 77;
  spec.cgroup = "basalt/k3s";
  ASSERT_TRUE(supervisor->Start(std::move(spec)).ok());
  std::string about = init.Say("k3s", "about");
  EXPECT_TRUE(absl::StartsWith(about, "arg k3s\narg server\narg with space\nenv A=1\n")) << about;
  for (const char* line :
       {"cwd /\n", "umask 18\n", "leader 1\n", "nofile 77\n", "odd-signals 0\n", "fds 0 1 2 3\n"}) {
    EXPECT_TRUE(absl::StrContains(about, line)) << line << about;
  }
  // There is no cgroup base: it runs without, and says so.
  EXPECT_TRUE(supervisor->List()->front().cgroup_missing);
}

TEST(NodedInit, TheProgramIsTheDescriptorNotAPath) {
  RealInit init;
  RelayedNoded noded = init.AwaitNoded();
  auto supervisor = Connect(noded);
  host::ServiceSpec spec = init.Remote("script");
  spec.exec_fd.reset(memfd_create("script", MFD_CLOEXEC));
  ASSERT_EQ(write(spec.exec_fd.get(), "#!/bin/sh\n", 10), 10);
  absl::Status refused = supervisor->Start(std::move(spec));
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(api::Reason(refused), "exec-failed");
  EXPECT_TRUE(supervisor->List()->empty());
}

TEST(NodedInit, OnlyTheMainProcessCanSayReady) {
  RealInit init;
  RelayedNoded noded = init.AwaitNoded();
  auto supervisor = Connect(noded);
  host::ServiceSpec spec = init.Remote("k3s");
  spec.notify = true;
  ASSERT_TRUE(supervisor->Start(std::move(spec)).ok());
  init.Say("k3s", "ready-from-child");
  // Datagrams keep their order: when the second is seen the first was judged.
  EXPECT_EQ(init.Say("k3s", "ready"), "sent");
  uint64_t seq = 0;
  host::ServiceEvent ready = AwaitEvent(*supervisor, &seq, Kind::kReady, "k3s");
  EXPECT_EQ(ready.seq, 2u);
  EXPECT_EQ(supervisor->Events(2)->size(), 0u);
}

TEST(NodedInit, I3_OrphansLeaveNoZombies) {
  RealInit init;
  RelayedNoded noded = init.AwaitNoded();
  auto supervisor = Connect(noded);
  int gate[2];
  ASSERT_EQ(pipe2(gate, O_CLOEXEC), 0);
  host::ServiceSpec spec = init.Remote("forker");
  spec.fds.emplace_back(gate[0]);
  ASSERT_TRUE(supervisor->Start(std::move(spec)).ok());
  int alive = 0;
  for (int round = 0; round < 10; ++round) {
    ASSERT_EQ(init.Say("forker", "orphans 200"), "done");
    Children children = ChildrenOf(init.pid());
    alive = children.alive;
    // noded, the forker, and all that were adopted so far.
    EXPECT_EQ(alive, 2 + 200 * (round + 1));
  }
  close(gate[1]);  // all 2,000 end at once
  init.Say("forker", "exit 0", false);
  uint64_t seq = 0;
  AwaitEvent(*supervisor, &seq, Kind::kExit, "forker");
  // Each request is one turn of the loop, and each turn reaps first: turns are counted, not time.
  for (int turn = 0; turn < 100000; ++turn) {
    ASSERT_TRUE(supervisor->Feed().ok());
    if (turn % 100 != 0) continue;
    Children children = ChildrenOf(init.pid());
    if (children.alive == 1 && children.zombies == 0) break;
  }
  Children children = ChildrenOf(init.pid());
  EXPECT_EQ(children.zombies, 0);
  EXPECT_EQ(children.alive, 1);  // noded
}

TEST(NodedInit, I5_AFloodOfOutputNeverBlocksTheService) {
  RealInit init;
  RelayedNoded noded = init.AwaitNoded();
  auto supervisor = Connect(noded);
  ASSERT_TRUE(supervisor->Start(init.Remote("k3s")).ok());
  constexpr uint64_t kBytes = 64 << 20;
  EXPECT_EQ(init.Say("k3s", absl::StrCat("flood ", kBytes)), "ok");  // nobody reads meanwhile
  EXPECT_EQ(init.Say("k3s", "say END"), "ok");
  auto output = supervisor->Output("k3s");
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->size(), init::kRingSize);
  EXPECT_TRUE(absl::EndsWith(*output, "xxEND"));
  EXPECT_EQ(*supervisor->OutputOffset("k3s"), kBytes + 3);
}

TEST(NodedInit, I8_AServiceThatIgnoresSigtermIsKilledAfterItsGrace) {
  RealInit init;
  RelayedNoded noded = init.AwaitNoded();
  auto supervisor = Connect(noded);
  host::ServiceSpec spec = init.Remote("k3s");
  spec.stop_grace = absl::Milliseconds(50);
  ASSERT_TRUE(supervisor->Start(std::move(spec)).ok());
  init.Say("k3s", "ignore-term");
  ASSERT_TRUE(supervisor->Stop("k3s").ok());
  uint64_t seq = 0;
  EXPECT_EQ(AwaitEvent(*supervisor, &seq, Kind::kExit, "k3s").signal, SIGKILL);
}

TEST(NodedInit, SigtermStopsServicesThenNodedAndEndsWithZero) {
  RealInit init;
  RelayedNoded noded = init.AwaitNoded();
  auto supervisor = Connect(noded);
  ASSERT_TRUE(supervisor->Start(init.Remote("k3s")).ok());
  int pid = supervisor->List()->front().pid;
  init.Signal(SIGTERM);
  int status = init.AwaitExit();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(kill(noded.pid, 0), -1);
}

TEST(NodedInit, I2_EverySignalButTheTwoThatEndItIsSurvived) {
  RealInit init;
  RelayedNoded noded = init.AwaitNoded();
  auto supervisor = Connect(noded);
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal == SIGTERM || signal == SIGINT || signal == SIGKILL || signal == SIGSTOP) continue;
    if (signal == 32 || signal == 33) continue;  // libc keeps them for itself
    init.Signal(signal);
  }
  EXPECT_TRUE(supervisor->Feed().ok());
  EXPECT_TRUE(supervisor->List().ok());
}

TEST(NodedInit, D7_GarbageOnTheChannelIsAnsweredAndSurvived) {
  RealInit init;
  RelayedNoded noded = init.AwaitNoded();
  int fd = noded.channel.get();
  for (size_t size : {1u, 15u, 16u, 17u, 500u, 16384u, 20000u}) {
    std::string garbage(size, '\xa5');
    ASSERT_EQ(send(fd, garbage.data(), garbage.size(), 0), static_cast<ssize_t>(size));
    ASSERT_TRUE(AwaitReadable(fd));
    char reply[64];
    ASSERT_EQ(recv(fd, reply, sizeof reply, 0), 24);
    init::ReplyHead head;
    memcpy(&head, reply + sizeof(init::Header), sizeof head);
    EXPECT_EQ(head.error, EPROTO);
  }
  EXPECT_TRUE(Connect(noded)->List().ok());
}

TEST(NodedInit, AWakeThatComesDuringACallStillWakesTheLoop) {
  RealInit init;
  RelayedNoded noded = init.AwaitNoded();
  auto supervisor = Connect(noded);
  // The wake of this start is sent in the same turn as its reply, so List reads past it.
  ASSERT_TRUE(supervisor->Start(init.Remote("k3s")).ok());
  ASSERT_TRUE(supervisor->List().ok());
  ASSERT_TRUE(AwaitReadable(supervisor->event_fd()));
  supervisor->DrainWakeups();
  pollfd idle = {.fd = supervisor->event_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&idle, 1, 0), 0);
  EXPECT_EQ(supervisor->Events(0)->size(), 1u);
}

}  // namespace
}  // namespace basalt::testing
