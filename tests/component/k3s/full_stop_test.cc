// A full stop on a machine where K3s left its network: in namespaces that the test makes for
// itself, with the links, rules and mounts that a real K3s leaves, made by `ip` and `iptables`.
#include "server/k3s/full_stop.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/host/platform.h"
#include "tests/component/k3s/sandbox_node.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;

// What a shell command prints; "failed: ..." when it does not end with 0.
std::string Shell(const std::string& command) {
  FILE* pipe = popen(
      absl::StrCat("export PATH=/usr/sbin:/sbin:$PATH; { ", command, "; } 2>&1").c_str(), "r");
  std::string out;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  return pclose(pipe) == 0 ? out : absl::StrCat("failed: ", out);
}

// "" when this process is in namespaces of its own now, else why not.
std::string EnterNamespaces() {
  if (geteuid() != 0) return "namespaces need root";
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0)
    return absl::StrCat("no namespaces here: ", std::strerror(errno));
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "mounts stay shared";
  for (const char* dir : {"/run", "/var/lib"}) {
    if (mount("tmpfs", dir, "tmpfs", 0, nullptr) != 0) return absl::StrCat("no tmpfs on ", dir);
  }
  std::string up = Shell("ip link set lo up");
  return up.empty() ? "" : absl::StrCat("no iproute2: ", up);
}

class K3sFullStop : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string why = EnterNamespaces();
    if (!why.empty()) GTEST_SKIP() << why;
    kind_ = GetParam();
    if (absl::StartsWith(Shell(Tables() + "-save -c"), "failed"))
      GTEST_SKIP() << "this kernel has no " << Tables();
    // What K3s leaves behind.
    ASSERT_EQ(
        Shell("ip link add cni0 type bridge && ip link add flannel.1 type bridge"
              " && ip link add vethabc type veth peer name eth9 && ip link set vethabc master cni0"
              " && ip netns add cni-11 && ip link set eth9 netns cni-11"),
        "");
    fs::create_directories("/var/lib/cni/networks/cbr0");
    std::ofstream("/var/lib/cni/networks/cbr0/10.42.0.2") << "id";
    fs::create_directories("/var/lib/kubelet/pods/p1/volumes/token");
    ASSERT_EQ(Shell("mount -t tmpfs none /var/lib/kubelet/pods/p1/volumes/token"), "");
    ASSERT_EQ(Shell(absl::StrCat(Tables(), " -t nat -N KUBE-SERVICES && ", Tables(),
                                 " -t nat -A OUTPUT -j KUBE-SERVICES && ", Tables(6),
                                 " -N KUBE-FIREWALL && ", Tables(6), " -A INPUT -j KUBE-FIREWALL")),
              "");
    // What is the owner's.
    ASSERT_EQ(
        Shell(absl::StrCat("ip link add br0 type bridge && ip netns add other && ", Tables(),
                           " -N SITE && ", Tables(),
                           " -A INPUT -p tcp --dport 22 -m comment --comment 'the \"admin\" port'"
                           " -j SITE && ",
                           Tables(), " -P FORWARD DROP")),
        "");
    fs::create_directories("/var/lib/kubelet/device-plugins");
    owners_ = Shell(Tables() + "-save -t filter | sed '/^#/d;s/\\[.*//'");
  }

  std::string Tables(int family = 4) const {
    return absl::StrCat(family == 6 ? "ip6tables-" : "iptables-", kind_);
  }
  std::string Rules() const { return Shell(absl::StrCat(Tables(), "-save; ", Tables(6), "-save")); }
  std::string Links() const { return Shell("ip -o link"); }

  std::string kind_, owners_;
};

TEST_P(K3sFullStop, InNamespacesOfItsOwnNothingOfK3sIsLeftAndAllElseIs) {
  ASSERT_TRUE(host::CheckOwnNamespaces().ok()) << host::CheckOwnNamespaces();
  SandboxNode node("n1", /*own_namespaces=*/true);
  v1::MachineConfig config = node.Config(v1::K3S_ROLE_SERVER);
  ASSERT_TRUE(node.Execute(&config).ok());
  ASSERT_TRUE(node.AwaitReady());
  ASSERT_TRUE(node.Execute(nullptr).ok());

  for (const char* name : {"cni0", "flannel.1", "vethabc"})
    EXPECT_FALSE(absl::StrContains(Links(), name)) << Links();
  EXPECT_TRUE(absl::StrContains(Links(), "br0"));
  EXPECT_FALSE(fs::exists("/run/netns/cni-11"));
  EXPECT_TRUE(fs::exists("/run/netns/other"));
  EXPECT_EQ(Shell("ip netns exec other true"), "") << "and it still is a namespace";
  EXPECT_TRUE(fs::is_empty("/var/lib/cni"));
  EXPECT_TRUE(fs::is_empty("/var/lib/kubelet/pods"));
  EXPECT_TRUE(fs::exists("/var/lib/kubelet/device-plugins"));
  EXPECT_FALSE(absl::StrContains(Rules(), "KUBE-")) << Rules();
  EXPECT_EQ(Shell(Tables() + "-save -t filter | sed '/^#/d;s/\\[.*//'"), owners_);
  EXPECT_TRUE(node.Status().message().empty()) << node.Status().message();
  ASSERT_TRUE(node.Execute(nullptr).ok()) << "it may be repeated";
}

TEST_P(K3sFullStop, InNamespacesThatMayBeSharedNothingOutsideItsDirectoryIsTouched) {
  const std::string links = Links(), rules = Rules();
  SandboxNode node("n1");
  v1::MachineConfig config = node.Config(v1::K3S_ROLE_SERVER);
  ASSERT_TRUE(node.Execute(&config).ok());
  ASSERT_TRUE(node.AwaitReady());
  ASSERT_TRUE(node.Execute(nullptr).ok());
  EXPECT_EQ(Links(), links);
  EXPECT_TRUE(absl::StrContains(Rules(), "-j KUBE-SERVICES"));
  EXPECT_TRUE(fs::exists("/run/netns/cni-11"));
  EXPECT_TRUE(fs::exists("/var/lib/cni/networks/cbr0/10.42.0.2"));
  EXPECT_TRUE(absl::StrContains(Shell("cat /proc/self/mountinfo"), "/pods/p1/volumes/token"));
}

INSTANTIATE_TEST_SUITE_P(Tables, K3sFullStop, ::testing::Values("nft", "legacy"),
                         [](const auto& info) { return std::string(info.param); });

// K3s runs from a tree that another K3s left, and its supervisor got the shim: the process that
// calls for the stop and the shim have one parent. Below the shim is a pod, whose process has a
// child.
TEST(AdoptedShims, AreEndedWithTheirPodsWhereverTheyRunFromAndStrangersAreNot) {
  char pattern[] = "/tmp/basalt-shim-XXXXXX";
  const std::string dir = mkdtemp(pattern);
  const std::string tree = absl::StrCat(dir, "/data/", std::string(64, 'a'));
  const std::string shim_program = tree + "/bin/containerd-shim-runc-v2";
  fs::create_directories(tree + "/bin");
  fs::create_directories(dir + "/node/data");
  for (const std::string& program : {shim_program, dir + "/data/stranger"})
    fs::copy_file("/bin/bash", program);
  EXPECT_EQ(k3s::ExtractionTreeOf(tree + "/bin/containerd"), tree);
  EXPECT_EQ(k3s::ExtractionTreeOf(dir + "/data/stranger"), "");
  EXPECT_EQ(k3s::ExtractionTreeOf("/usr/bin/sleep"), "");

  pid_t supervisor = fork();
  if (supervisor == 0) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int ready[2];
    if (pipe(ready) != 0) _exit(4);
    auto start = [&](const std::string& program, const std::string& script) {
      if (pid_t pid = fork(); pid != 0) return pid;
      dup2(ready[1], 1);
      execl(program.c_str(), "p", "-c", script.c_str(), nullptr);
      _exit(127);
    };
    pid_t shim =
        start(shim_program, "bash -c 'sleep 600 & echo $! $$; wait; exec sleep 600' & wait");
    pid_t stranger = start(dir + "/data/stranger", "echo; while :; do wait; read -t 600 x; done");
    char text[64] = {};
    for (int lines = 0, at = 0; lines < 2 && read(ready[0], text + at, 1) == 1; ++at)
      lines += text[at] == '\n';
    int child = 0, pod = 0;
    std::istringstream(text) >> child >> pod;
    pid_t noded = fork();
    if (noded == 0) _exit(k3s::FullStop(dir + "/node", false).ok() ? 0 : 1);
    int ended = 0, status = 0;
    waitpid(noded, &ended, 0);
    int left = 0;
    for (int pid : {static_cast<int>(shim), pod, child}) {
      // Those that this process got are zombies until they are waited for.
      if (waitpid(pid, &status, WNOHANG) == 0 || (kill(pid, 0) == 0 && getpgid(pid) > 0)) ++left;
      kill(pid, SIGKILL);
    }
    bool stranger_lives = waitpid(stranger, &status, WNOHANG) == 0;
    kill(stranger, SIGKILL);
    _exit(ended != 0 || pod == 0 ? 1 : left != 0 ? 10 + left : !stranger_lives ? 3 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(supervisor, &status, 0), supervisor);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "1: it failed, 3: the stranger ended, 10+n: n of it live";
  fs::remove_all(dir);
}

TEST(OwnNamespaces, AreNotTheMachines) {
  absl::Status status = host::CheckOwnNamespaces();
  if (fs::read_symlink("/proc/self/ns/pid") != "pid:[4026531836]")
    GTEST_SKIP() << "the machine cannot be seen from this container";
  std::error_code error;
  (void)fs::read_symlink("/proc/1/ns/net", error);
  if (status.ok() && error) GTEST_SKIP() << "an old kernel that hides the namespaces of PID 1";
  EXPECT_FALSE(status.ok()) << "a test runs in the machine's namespaces";
}

}  // namespace
}  // namespace basalt::testing
