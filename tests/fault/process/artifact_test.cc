// What a download can suffer: each has its code, nothing changes, the old K3s goes on.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <iostream>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "tests/fault/process/process_fixture.h"
#include "tests/support/process/await.h"
#include "tests/unit/server/fetch/scripted_server.h"

namespace basalt::testing {
namespace {

// The double and something behind it: another artifact that works as well.
std::string Artifact() { return ReadAll(K3S_DOUBLE) + "another"; }

NodeConfig From(int64_t generation, const std::string& url, const std::string& bytes) {
  return {.generation = generation,
          .with_k3s = true,
          .url = url,
          .sha256 = Sha256(bytes).Hex(),
          .size = static_cast<int64_t>(bytes.size())};
}

class Artifacts : public ::testing::Test {
 protected:
  void SetUp() override {
    node_ = std::make_unique<NodeProcess>(TheOwner(),
                                          NodeOptions{.arguments = {"--fetch", HASTY_FETCH}});
    ASSERT_NO_FATAL_FAILURE(StartWithK3s(*node_));
    auto service = node_->Service("k3s");
    ASSERT_TRUE(service.ok()) << service.status();
    before_ = *service;
    rendered_ = ReadAll(node_->Path("etc/rancher/k3s/config.yaml"));
  }

  // Refused with `code`; what ran runs.
  void ExpectRefused(const NodeConfig& config, const std::string& code) {
    auto end = node_->Apply(config);
    std::string found = end.ok() ? end->error_code() : api::Reason(end.status());
    EXPECT_EQ(found, code) << (end.ok() ? end->message() : end.status().ToString());
    if (end.ok()) {
      EXPECT_EQ(end->state(), v1::APPLY_STATE_REVERTED);
    }
    ExpectUntouched();
  }

  void ExpectUntouched() {
    auto status = node_->AwaitSettled();
    ASSERT_TRUE(status.ok()) << status.status();
    EXPECT_EQ(status->generation(), 1);
    auto machine = (*node_->Connect())->Get("MachineStatus", "machine");
    ASSERT_TRUE(machine.ok()) << machine.status();
    EXPECT_EQ(machine->machine_status().stage(), "running");
    auto service = node_->Service("k3s");
    ASSERT_TRUE(service.ok()) << service.status();
    EXPECT_EQ(service->pid(), before_.pid());
    EXPECT_EQ(service->starts(), before_.starts());
    EXPECT_EQ(ReadAll(node_->Path("etc/rancher/k3s/config.yaml")), rendered_);
    EXPECT_FALSE(
        std::filesystem::exists(node_->Path("data/store/sha256-") + Sha256(Artifact()).Hex()));
  }

  std::unique_ptr<NodeProcess> node_;
  v1::Service before_;
  std::string rendered_;
};

TEST_F(Artifacts, EachFaultOfADownloadHasItsCodeAndChangesNothing) {
  const std::string good = Artifact();
  std::string wrong = good;
  wrong[wrong.size() / 2] = static_cast<char>(wrong[wrong.size() / 2] ^ 1);
  ScriptedServer server([&](const ScriptedServer::Connection& c) {
    if (absl::StrContains(c.request, "GET /wrong")) {
      c.Send(Answer("200 OK", wrong));
    } else if (absl::StrContains(c.request, "GET /stall")) {
      c.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome");
      c.AwaitClose();
    } else if (absl::StrContains(c.request, "GET /loop")) {
      c.Send(Answer("302 Found", "", "Location: /loop\r\n"));
    } else if (absl::StrContains(c.request, "GET /whole")) {
      c.Send(Answer("200 OK", good));
    } else {
      c.Send(Answer("404 Not Found", ""));
    }
  });
  ExpectRefused(From(2, server.Url("/wrong"), good), "artifact-digest-mismatch");
  ExpectRefused(From(3, server.Url("/stall"), good), "artifact-stalled");
  ExpectRefused(From(4, server.Url("/loop"), good), "artifact-redirect-loop");
  NodeConfig small = From(5, server.Url("/whole"), good);
  small.size = 1000;
  ExpectRefused(small, "artifact-too-large");
  ExpectRefused(From(6, server.Url("/absent"), good), "artifact-download-failed");
  std::cout << "artifacts: faults 5, passes 5, skips 0\n";
}

// The one process that strangers speak to is believed in nothing: neither bytes nor numbers.
TEST_F(Artifacts, S11_ADownloaderThatLiesIsFoundOut) {
  const pid_t pid = node_->noded_pid();
  ExpectRefused(From(2, "http://127.0.0.1:9/lie", Artifact()), "artifact-digest-mismatch");
  EXPECT_EQ(node_->noded_pid(), pid) << "noded did not live through it";
}

// The right bytes by their digest, and not what the config says that they are.
TEST_F(Artifacts, S5_AnArtifactThatIsAnotherReleaseOrNoK3sChangesNothing) {
  NodeConfig mixed = WithRestart(2, "mixed");
  mixed.version = "v1.31.0+k3s1";
  ExpectRefused(mixed, "wrong-k3s-release");
  const std::string other = ReadAll("/bin/true");
  NodeConfig stranger = WithRestart(3, "stranger");
  stranger.url = "file:///bin/true";
  stranger.sha256 = Sha256(other).Hex();
  ExpectRefused(stranger, "k3s-not-runnable");
}

TEST_F(Artifacts, ACutOffDownloadGoesOnWhereItStopped) {
  const std::string good = Artifact();
  ScriptedServer server([&](const ScriptedServer::Connection& c) {
    const int64_t from = c.RangeStart();
    if (from < 0) {
      c.Send(absl::StrCat("HTTP/1.1 200 OK\r\nETag: \"one\"\r\nContent-Length: ", good.size(),
                          "\r\n\r\n", good.substr(0, good.size() / 2)));
    } else {
      c.Send(Answer("206 Partial Content", good.substr(static_cast<size_t>(from)),
                    absl::StrCat("ETag: \"one\"\r\nContent-Range: bytes ", from, "-",
                                 good.size() - 1, "/", good.size(), "\r\n")));
    }
  });
  auto end = node_->Apply(From(2, server.Url(), good));
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
  EXPECT_EQ(server.requests().size(), 2u);
  auto service = node_->Service("k3s");
  ASSERT_TRUE(service.ok());
  EXPECT_NE(service->pid(), before_.pid());
}

// noded dies during a download; the next one continues the file.
TEST_F(Artifacts, ADownloadOutlivesNoded) {
  const std::string good = Artifact();
  std::atomic<bool> resumed{false};
  std::atomic<int> asked{0};
  ScriptedServer server([&](const ScriptedServer::Connection& c) {
    const int64_t from = c.RangeStart();
    if (asked++ == 0) {
      c.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", good.size(), "\r\n\r\n",
                          good.substr(0, good.size() / 2)));
      node_->KillNoded();
    } else if (from > 0) {
      resumed = true;
      c.Send(Answer("206 Partial Content", good.substr(static_cast<size_t>(from)),
                    absl::StrCat("Content-Range: bytes ", from, "-", good.size() - 1, "/",
                                 good.size(), "\r\n")));
    } else {
      c.Send(Answer("200 OK", good));
    }
  });
  const v1::SignedDocument document = node_->Sign(From(2, server.Url(), good));
  auto end = node_->Apply(document);
  ASSERT_TRUE(end.ok()) << end.status() << node_->Log();
  EXPECT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
  EXPECT_TRUE(resumed);
}

// A view of the mounts for this thread and what it starts; false without the right to have one.
bool OwnMounts() {
  return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
         mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

TEST(Disk, AFullDataDiskIsNamedAndChangesNothing) {
  if (!OwnMounts()) GTEST_SKIP() << "needs root: mounts a small file system for the store";
  NodeProcess node(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  auto before = node.Service("k3s");
  ASSERT_TRUE(before.ok());
  ASSERT_EQ(mount("tmpfs", node.Path("data/store").c_str(), "tmpfs", 0, "size=1m"), 0);
  const std::string file = node.Path("other-k3s");
  WriteAll(file, Artifact());
  auto end = node.Apply(From(2, "file://" + file, Artifact()));
  const std::string code = end.ok() ? end->error_code() : api::Reason(end.status());
  EXPECT_EQ(code, "disk-full") << (end.ok() ? end->message() : end.status().ToString());
  auto config = node.AwaitSettled();
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->generation(), 1);
  EXPECT_EQ(node.Service("k3s")->pid(), before->pid());
  // Nothing is left that would keep it full.
  EXPECT_TRUE(std::filesystem::is_empty(node.Path("data/store")));
  ASSERT_EQ(umount(node.Path("data/store").c_str()), 0);
  end = node.Apply(From(3, "file://" + file, Artifact()));
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
}

TEST(Disk, D6_AStateThatTurnsReadOnlyRefusesAppliesAndLeavesK3sAlone) {
  if (!OwnMounts()) GTEST_SKIP() << "needs root: mounts the state directory read-only";
  NodeProcess node(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  auto before = node.Service("k3s");
  ASSERT_TRUE(before.ok());
  const std::string state = node.Path("state");
  ASSERT_EQ(mount(state.c_str(), state.c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(mount(nullptr, state.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr), 0);
  const absl::Time asked = absl::Now();
  auto end = node.Apply(WithLabel(2, "two"));
  const absl::Duration took = absl::Now() - asked;
  const std::string code = end.ok() ? end->error_code() : api::Reason(end.status());
  EXPECT_EQ(code, "state-read-only") << (end.ok() ? end->message() : end.status().ToString());
  EXPECT_EQ(node.Config()->generation(), 1);
  EXPECT_EQ(node.Service("k3s")->pid(), before->pid());
  // A new noded serves on it too.
  const pid_t noded = node.noded_pid();
  node.KillNoded();
  ASSERT_TRUE(node.AwaitNoded(noded)) << node.Log();
  EXPECT_EQ(node.Config()->generation(), 1);
  EXPECT_EQ(node.Service("k3s")->pid(), before->pid());
  ASSERT_EQ(umount(state.c_str()), 0);
  end = node.Apply(WithLabel(3, "three"));
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
  std::cout << "D6: cases 1, passes 1, reported after " << absl::ToInt64Milliseconds(took)
            << " ms, skips 0\n";
}

}  // namespace
}  // namespace basalt::testing
