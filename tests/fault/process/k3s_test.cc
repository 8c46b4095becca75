// K3s misbehaves; the node says so, keeps its API and goes back where it should.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "tests/fault/process/process_fixture.h"
#include "tests/support/process/await.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;

bool AwaitReady(const NodeProcess& node) {
  return AwaitChange(node.Path("run"), [&] {
    auto status = node.K3s();
    return status.ok() && status->ready();
  });
}

std::string Fault(const std::string& word) {
  return absl::StrCat("    - {name: BASALT_DOUBLE_FAULTS, value: ", word, "}\n");
}

void FlipAByte(const std::string& path) {
  fs::permissions(path, fs::perms::owner_all);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(4096);
  const char old = static_cast<char>(file.get());
  file.seekp(4096);
  file.put(static_cast<char>(old ^ 1));
}

TEST(K3sProcess, K6_AChangeThatNeedsNoRestartKeepsThePid) {
  NodeProcess node(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  auto before = node.Service("k3s");
  ASSERT_TRUE(before.ok()) << before.status();
  auto end = node.Apply(WithLabel(2, "lab"));
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
  auto after = node.Service("k3s");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->pid(), before->pid());
  EXPECT_EQ(after->starts(), before->starts());
  std::cout << "K6: cases 1, passes 1, restarts " << after->starts() - before->starts() << "\n";
}

TEST(K3sProcess, K1_AK3sThatExitsAtOnceBacksOffIsNamedAndTheApiStaysFine) {
  NodeProcess node(TheOwner());
  ASSERT_TRUE(node.Start().ok());
  const absl::Time from = absl::Now();
  auto end = node.Apply(NodeConfig{.with_k3s = true, .env = Fault("exit")});
  ASSERT_TRUE(end.ok()) << end.status();
  // A first start: committed, and the condition stays (there is nothing to go back to).
  EXPECT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
  EXPECT_EQ(end->error_code(), "k3s-exited") << end->message();
  const double minutes = absl::ToDoubleMinutes(absl::Now() - from);
  auto service = node.Service("k3s");
  ASSERT_TRUE(service.ok());
  EXPECT_LE(service->starts(), 2 + minutes * 12);  // 5 s apart at first, then doubling
  auto status = node.K3s();
  ASSERT_TRUE(status.ok());
  EXPECT_FALSE(status->ready());
  EXPECT_GT(status->last_lines_size(), 0);
  EXPECT_LE(status->last_lines_size(), 50);
  const absl::Time asked = absl::Now();
  ASSERT_TRUE(node.Config().ok());
  EXPECT_LT(absl::Now() - asked, absl::Seconds(10));
  auto good = node.Apply(NodeConfig{.generation = 2, .with_k3s = true});
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(good->error_code(), "") << good->message();
  std::cout << "K1: starts " << service->starts() << " in " << minutes * 60 << " s, passes 1\n";
}

TEST(K3sProcess, K2_AHangingK3sIsFoundAndRestarted) {
  NodeProcess node(TheOwner());
  ASSERT_TRUE(node.Start().ok());
  auto end = node.Apply(
      NodeConfig{.with_k3s = true, .health = "{readyz: 100s, nodeReady: 100s, liveness: 2s}"});
  ASSERT_TRUE(end.ok()) << end.status();
  ASSERT_EQ(end->error_code(), "") << end->message();
  const int pid = node.Service("k3s")->pid();
  const absl::Time from = absl::Now();
  ASSERT_EQ(kill(pid, SIGUSR1), 0);
  ASSERT_TRUE(AwaitChange(node.Path("run"), [&] {
    auto status = node.K3s();
    return status.ok() && status->ready() && status->pid() != pid;
  })) << node.K3s()->ShortDebugString();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - from);
  EXPECT_TRUE(absl::StrContains(node.K3s()->message(), "did not answer"));
  std::cout << "K2: cases 1, passes 1, restarted and Ready " << seconds
            << " s after it hung, liveness 2 s\n";
}

TEST(K3sProcess, K4_ABinaryFlippedWhileTheNodeWasOffIsFetchedAgain) {
  NodeProcess node(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  node.Stop();
  FlipAByte(node.Path("data/store/sha256-") + DoubleSha256());
  absl::Status started = node.Start();
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_TRUE(AwaitReady(node)) << node.K3s()->ShortDebugString() << node.Log();
  std::cout << "K4: cases 1, passes 1, skips 0\n";
}

TEST(K3sProcess, K4_ABinaryFlippedWithItsSourceGoneIsNeverExecutedAndIsNamed) {
  NodeProcess node(TheOwner());
  ASSERT_TRUE(node.Start().ok());
  const std::string file = node.Path("k3s-file");
  fs::copy_file(K3S_DOUBLE, file);
  auto end = node.Apply(NodeConfig{.with_k3s = true, .url = "file://" + file});
  ASSERT_TRUE(end.ok()) << end.status();
  ASSERT_EQ(end->error_code(), "") << end->message();
  node.Stop();
  fs::remove(file);
  FlipAByte(node.Path("data/store/sha256-") + DoubleSha256());
  absl::Status started = node.Start();
  ASSERT_TRUE(started.ok()) << started;
  std::string told;
  EXPECT_TRUE(AwaitChange(node.Path("run"),
                          [&] {
                            auto client = node.Connect();
                            if (!client.ok()) return false;
                            auto machine = (*client)->Get("MachineStatus", "machine");
                            if (!machine.ok()) return false;
                            told = machine->machine_status().ShortDebugString();
                            return absl::StrContains(told, "artifact-") ||
                                   absl::StrContains(told, file);
                          }))
      << told << node.Log();
  auto service = node.Service("k3s");
  EXPECT_TRUE(!service.ok() || service->pid() == 0);
  EXPECT_EQ(node.Config()->generation(), 1);
}

TEST(K3sProcess, K5_AConfigWithWhichK3sIsNeverReadyComesBackByItself) {
  NodeProcess node(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  NodeConfig bad{.generation = 2, .with_k3s = true, .env = Fault("never-ready")};
  bad.health = "{readyz: 2s, nodeReady: 2s, liveness: 60s}";
  const absl::Time from = absl::Now();
  auto end = node.Apply(bad);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->state(), v1::APPLY_STATE_REVERTED) << end->message();
  EXPECT_EQ(end->error_code(), "k3s-not-ready") << end->message();
  EXPECT_TRUE(AwaitReady(node));
  EXPECT_EQ(node.Config()->generation(), 1);
  std::cout << "K5: cases 1, passes 1, back and Ready after "
            << absl::ToDoubleSeconds(absl::Now() - from) << " s with a deadline of 2 s\n";
}

TEST(K3sProcess, AFirstK3sThatIsNeverReadyIsCommittedWithItsCode) {
  NodeProcess node(TheOwner());
  ASSERT_TRUE(node.Start().ok());
  NodeConfig config{.with_k3s = true, .env = Fault("never-ready")};
  config.health = "{readyz: 2s, nodeReady: 2s, liveness: 60s}";
  auto end = node.Apply(config);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
  EXPECT_EQ(end->error_code(), "k3s-not-ready") << end->message();
  EXPECT_EQ(node.Config()->generation(), 1);
}

TEST(K3sProcess, AnAgentWhoseTokenIsRefusedIsNamed) {
  NodeProcess server(TheOwner()), agent(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(server));
  ASSERT_TRUE(agent.Start().ok());
  NodeConfig config{.name = "n2", .with_k3s = true, .role = "agent"};
  config.k3s =
      absl::StrCat("  agentToken: not-the-one-of-the-server\n  cluster: {server: \"https://",
                   server.address(), ":6443\"}\n");
  auto end = agent.Apply(config);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
  EXPECT_EQ(end->error_code(), "join-token-rejected") << end->message();
}

TEST(K3sProcess, AResetLeavesNoProcessThatK3sStarted) {
  NodeProcess node(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  ASSERT_GE(node.K3sProcesses().size(), 2u);  // K3s and what stands for a pod
  const absl::Time now = absl::Now();
  auto stamp = [](absl::Time at) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", at, absl::UTCTimeZone());
  };
  v1::ApplyActionRequest request;
  *request.mutable_document() = TheOwner().SignYaml(
      v1::DOCUMENT_TYPE_ACTION,
      absl::StrCat(
          "apiVersion: basalt/v1\nkind: Action\ncluster: home\nepoch: 1\ntarget: {machineId: ",
          node.fingerprint(), "}\nverb: reset\nsignedAt: ", stamp(now),
          "\nnotAfter: ", stamp(now + absl::Hours(1)), "\n"));
  auto reply = (*node.Connect())->ApplyAction(request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_TRUE(node.K3sProcesses().empty());
  auto hello = (*node.Connect())->Hello(absl::Seconds(30));
  ASSERT_TRUE(hello.ok()) << hello.status();
  EXPECT_EQ(hello->state(), "no-config");
  EXPECT_EQ(hello->floor_generation(), 1);
  // Nothing of K3s and none of its secrets: the next owner of the name brings other tokens.
  for (const char* place : {"etc/rancher/k3s", "etc/rancher/node", "data/k3s", "data/store",
                            "state/k3s-trees", "run/k3s-token"}) {
    EXPECT_FALSE(fs::exists(node.Path(place))) << place;
  }
  NodeConfig again = WithLabel(2, "again");
  again.server_token = "zyxwvutsrqponmlkjihgfe";
  auto end = node.Apply(node.Sign(again));
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(end->error_code(), "") << end->message();
}

}  // namespace
}  // namespace basalt::testing
