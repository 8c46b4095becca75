// The controller against processes: supervisor, download and the K3s double are the real programs.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "tests/component/k3s/sandbox_node.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;

void SetFault(v1::MachineConfig* config, const std::string& fault) {
  v1::EnvVar* env = config->mutable_k3s()->add_env();
  env->set_name("BASALT_DOUBLE_FAULTS");
  env->set_value(fault);
}

v1::MachineConfig AgentOf(const SandboxNode& agent, const SandboxNode& server,
                          const std::string& ca_hash) {
  v1::MachineConfig config = agent.Config(v1::K3S_ROLE_AGENT);
  config.mutable_k3s()->mutable_cluster()->set_server(
      absl::StrCat("https://", server.address(), ":6443"));
  if (!ca_hash.empty()) config.mutable_k3s()->mutable_cluster()->set_ca_hash(ca_hash);
  return config;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Processes that run from below `dir`.
std::vector<int> ProcessesFrom(const std::string& dir) {
  std::vector<int> pids;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    std::string exe = fs::read_symlink(entry.path() / "exe", error);
    if (!error && absl::StartsWith(exe, dir + "/"))
      pids.push_back(atoi(entry.path().filename().c_str()));
    error.clear();
  }
  return pids;
}

TEST(K3sNode, ServerAndAgentBecomeReady) {
  SandboxNode server("n1"), agent("n2");
  v1::MachineConfig config = server.Config(v1::K3S_ROLE_SERVER);
  ASSERT_TRUE(server.Prepare(config).ok());
  ASSERT_TRUE(server.Execute(&config).ok());
  ASSERT_TRUE(server.AwaitReady()) << server.Status().DebugString();
  EXPECT_TRUE(server.Status().is_double());
  EXPECT_EQ(server.Status().rung(), "nodeReady");
  EXPECT_EQ(server.Status().ca_hash().size(), 64u);

  v1::MachineConfig joining = AgentOf(agent, server, server.Status().ca_hash());
  ASSERT_TRUE(agent.Prepare(joining).ok());
  ASSERT_TRUE(agent.Execute(&joining).ok());
  ASSERT_TRUE(agent.AwaitReady()) << agent.Status().DebugString();
  EXPECT_TRUE(absl::StartsWith(ReadFile(agent.root() + "/run/k3s-token"),
                               "K10" + server.Status().ca_hash() + "::node:"));

  absl::StatusOr<std::string> kubeconfig = server.Kubeconfig();
  ASSERT_TRUE(kubeconfig.ok()) << kubeconfig.status();
  EXPECT_TRUE(absl::StrContains(*kubeconfig, "https://" + server.address() + ":6443"));
  EXPECT_EQ(api::Reason(agent.Kubeconfig().status()), "k3s-not-server");
}

TEST(K3sNode, K6_ANewNodedAndLiveChangesKeepThePid) {
  SandboxNode node("n1");
  v1::MachineConfig config = node.Config(v1::K3S_ROLE_SERVER);
  (*config.mutable_k3s()->mutable_node()->mutable_labels())["old"] = "1";
  ASSERT_TRUE(node.Execute(&config).ok());
  ASSERT_TRUE(node.AwaitReady());
  int pid = node.Status().pid();

  node.ReplaceController();
  ASSERT_TRUE(node.Execute(&config).ok());
  ASSERT_TRUE(node.AwaitReady());
  EXPECT_EQ(node.Status().pid(), pid);

  config.mutable_k3s()->mutable_node()->mutable_labels()->clear();
  (*config.mutable_k3s()->mutable_node()->mutable_labels())["site"] = "lab";
  v1::K3sManifest* manifest = config.mutable_k3s()->add_manifests();
  manifest->set_name("one");
  manifest->mutable_content()->set_plain("kind: Namespace\n");
  ASSERT_TRUE(node.Execute(&config).ok());
  EXPECT_EQ(ReadFile(node.root() + "/data/k3s/server/manifests/noded-one.yaml"),
            "kind: Namespace\n");
  ASSERT_TRUE(node.AwaitReady());
  EXPECT_EQ(node.Status().pid(), pid);

  config.mutable_k3s()->clear_manifests();
  ASSERT_TRUE(node.Execute(&config).ok());
  EXPECT_FALSE(fs::exists(node.root() + "/data/k3s/server/manifests/noded-one.yaml"));
  EXPECT_EQ(node.Status().pid(), pid);
}

TEST(K3sNode, RestartKeepsPodsAndFullStopEndsThem) {
  SandboxNode node("n1");
  v1::MachineConfig config = node.Config(v1::K3S_ROLE_SERVER);
  ASSERT_TRUE(node.Execute(&config).ok());
  ASSERT_TRUE(node.AwaitReady());
  int pid = node.Status().pid();
  std::string shim = ReadFile(node.root() + "/data/k3s/agent/containerd/shim.pid");
  ASSERT_FALSE(shim.empty());
  ASSERT_TRUE(node.Restart().ok());
  ASSERT_TRUE(node.Await(
      [pid](const v1::K3sStatus& s, const auto&) { return s.ready() && s.pid() != pid; }));
  EXPECT_TRUE(fs::exists("/proc/" + shim));

  ASSERT_TRUE(node.Execute(nullptr).ok());
  EXPECT_TRUE(ProcessesFrom(node.root()).empty());
  EXPECT_TRUE(fs::exists(node.root() + "/data/k3s/server/tls/server-ca.crt")) << "data is kept";
  EXPECT_FALSE(fs::exists(node.root() + "/run/k3s-token"));
  EXPECT_FALSE(fs::exists(node.root() + "/run/k3s.yaml")) << "it lets its reader administer";
}

TEST(K3sNode, WrongTokenIsNamedAndHopelessAndNotShown) {
  SandboxNode server("n1"), agent("n2");
  v1::MachineConfig config = server.Config(v1::K3S_ROLE_SERVER);
  ASSERT_TRUE(server.Execute(&config).ok());
  ASSERT_TRUE(server.AwaitReady());
  v1::MachineConfig joining = AgentOf(agent, server, "");
  joining.mutable_k3s()->mutable_agent_token()->set_plain("a-wrong-token-0123456789");
  ASSERT_TRUE(agent.Execute(&joining).ok());
  EXPECT_EQ(agent.AwaitCode("NodeReady", "join-token-rejected"), "join-token-rejected");
  EXPECT_TRUE(agent.Await([](const auto&, const std::vector<engine::Condition>& conditions) {
    return !conditions.empty() && conditions.back().hopeless;
  }));
  EXPECT_FALSE(absl::StrContains(agent.Status().DebugString(), "a-wrong-token"));
}

TEST(K3sNode, WrongCaHashAndUnreachableServerAreNamed) {
  SandboxNode server("n1"), agent("n2");
  v1::MachineConfig joining = AgentOf(agent, server, std::string(64, 'a'));
  ASSERT_TRUE(agent.Execute(&joining).ok());
  EXPECT_EQ(agent.AwaitCode("NodeReady", "server-unreachable"), "server-unreachable");
  v1::MachineConfig config = server.Config(v1::K3S_ROLE_SERVER);
  ASSERT_TRUE(server.Execute(&config).ok());
  EXPECT_EQ(agent.AwaitCode("NodeReady", "join-ca-mismatch"), "join-ca-mismatch");
}

TEST(K3sNode, AStrangerWithTheNameOfANodeIsRefused) {
  SandboxNode server("n1"), agent("n2"), other("n2");
  v1::MachineConfig config = server.Config(v1::K3S_ROLE_SERVER);
  ASSERT_TRUE(server.Execute(&config).ok());
  ASSERT_TRUE(server.AwaitReady());
  v1::MachineConfig joining = AgentOf(agent, server, "");
  ASSERT_TRUE(agent.Execute(&joining).ok());
  ASSERT_TRUE(agent.AwaitReady());
  v1::MachineConfig stranger = AgentOf(other, server, "");
  stranger.mutable_k3s()->mutable_node_password()->set_plain("another-password");
  ASSERT_TRUE(other.Execute(&stranger).ok());
  EXPECT_EQ(other.AwaitCode("NodeReady", "node-password-rejected"), "node-password-rejected");
}

TEST(K3sNode, K1_ExitingAtOnceIsCountedAndHopeless) {
  SandboxNode node("n1");
  v1::MachineConfig config = node.Config(v1::K3S_ROLE_SERVER);
  SetFault(&config, "exit");
  ASSERT_TRUE(node.Execute(&config).ok());
  EXPECT_TRUE(node.Await([](const auto&, const std::vector<engine::Condition>& conditions) {
    return conditions[0].type == "K3sRunning" && conditions[0].hopeless &&
           conditions[0].code == "k3s-exited";
  }));
  EXPECT_GT(node.Status().last_lines_size(), 0);
}

TEST(K3sNode, K2_HangingIsFoundAndRestarted) {
  SandboxNode node("n1");
  v1::MachineConfig config = node.Config(v1::K3S_ROLE_SERVER);
  config.mutable_k3s()->mutable_health()->set_liveness("1s");
  ASSERT_TRUE(node.Execute(&config).ok());
  ASSERT_TRUE(node.AwaitReady());
  int pid = node.Status().pid();
  ASSERT_EQ(kill(pid, SIGUSR1), 0);
  EXPECT_TRUE(node.Await([pid](const v1::K3sStatus& s, const auto&) {
    return s.ready() && s.pid() != pid;
  })) << node.Status().DebugString();
  EXPECT_TRUE(absl::StrContains(node.Status().message(), "did not answer"));
}

TEST(K3sNode, K4_ADamagedBinaryIsNeverExecutedButFetchedAgain) {
  SandboxNode node("n1");
  v1::MachineConfig config = node.Config(v1::K3S_ROLE_SERVER);
  ASSERT_TRUE(node.Prepare(config).ok());
  std::string stored = node.root() + "/data/store/sha256-" + FileDigest(K3S_DOUBLE);
  fs::permissions(stored, fs::perms::owner_all);
  {
    std::fstream file(stored, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file.put('!');
  }
  ASSERT_NE(FileDigest(stored), FileDigest(K3S_DOUBLE));
  ASSERT_TRUE(node.Execute(&config).ok());
  EXPECT_EQ(FileDigest(stored), FileDigest(K3S_DOUBLE));
  EXPECT_TRUE(node.AwaitReady());
}

TEST(K3sNode, K4_AChangedExtractionTreeIsMadeAnew) {
  SandboxNode node("n1");
  v1::MachineConfig config = node.Config(v1::K3S_ROLE_SERVER);
  ASSERT_TRUE(node.Execute(&config).ok());
  ASSERT_TRUE(node.AwaitReady());
  std::string record = node.root() + "/state/k3s-trees/" + FileDigest(K3S_DOUBLE);
  ASSERT_TRUE(node.Await([&](const auto&, const auto&) { return fs::exists(record); }));
  ASSERT_TRUE(node.Execute(nullptr).ok());
  std::string runc = node.root() + "/data/k3s/data/" + FileDigest(K3S_DOUBLE) + "/bin/runc";
  std::ofstream(runc) << "evil";
  ASSERT_TRUE(node.Execute(&config).ok());
  ASSERT_TRUE(node.AwaitReady());
  EXPECT_NE(ReadFile(runc), "evil");
  EXPECT_TRUE(absl::StrContains(node.Status().message(), "bin/runc"));
}

TEST(K3sNode, AWrongDigestNamesBothAndStartsNothing) {
  SandboxNode node("n1");
  v1::MachineConfig config = node.Config(v1::K3S_ROLE_SERVER);
  std::string wanted(64, 'b');
  config.mutable_k3s()->mutable_artifacts()->mutable_amd64()->set_sha256(wanted);
  config.mutable_k3s()->mutable_artifacts()->mutable_arm64()->set_sha256(wanted);
  absl::Status status = node.Prepare(config);
  EXPECT_EQ(api::Reason(status), "artifact-digest-mismatch") << status;
  EXPECT_TRUE(absl::StrContains(status.message(), wanted));
  EXPECT_TRUE(absl::StrContains(status.message(), FileDigest(K3S_DOUBLE)));
  EXPECT_FALSE(fs::exists(node.root() + "/data/store/sha256-" + wanted));
  EXPECT_TRUE(node.Conditions().empty());
}

TEST(K3sNode, IgnoredSigtermIsKilledAndReplaced) {
  SandboxNode node("n1");
  v1::MachineConfig config = node.Config(v1::K3S_ROLE_SERVER);
  SetFault(&config, "ignore-sigterm");
  ASSERT_TRUE(node.Execute(&config).ok());
  ASSERT_TRUE(node.AwaitReady());
  v1::MachineConfig good = node.Config(v1::K3S_ROLE_SERVER);
  ASSERT_TRUE(node.Execute(&good).ok());
  EXPECT_TRUE(node.AwaitReady());
}

}  // namespace
}  // namespace basalt::testing
