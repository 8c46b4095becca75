// P7: secrets that were planted in a config appear in nothing that comes out of the programs.
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/fault/process/process_fixture.h"
#include "tests/support/process/await.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;

// Where K3s itself must find them, or where they are kept for that: 0600, and never an output.
bool IsTheirPlace(const std::string& path, const std::string& root) {
  for (const char* place : {"/etc/rancher/", "/run/", "/state/generations/", "/data/k3s/"}) {
    if (absl::StartsWith(path, root + place)) return true;
  }
  return false;
}

class Canaries : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/basalt-lab-XXXXXX";
    lab_ = mkdtemp(pattern);
    lab_ += "/lab";
    ASSERT_EQ(Ctl({"init", lab_, "--cluster", "home", "--no-passphrase"}).exit_code, 0);
    node_ = std::make_unique<NodeProcess>(TheOwner(),
                                          NodeOptions{.trust_json = ReadAll(lab_ + "/trust.json")});
    absl::Status started = node_->Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  void TearDown() override {
    node_.reset();
    std::error_code ignored;
    fs::remove_all(fs::path(lab_).parent_path(), ignored);
  }

  Ran Ctl(std::vector<std::string> words) {
    words.insert(words.begin(), NODECTL);
    Ran ran = RunProgram(words, {"NODECTL_CONTEXT=" + lab_ + "/context.yaml"});
    outputs_.emplace_back(absl::StrCat(words[1], " ", words.size() > 2 ? words[2] : ""),
                          ran.out + ran.err);
    return ran;
  }

  void Scan(const std::string& what, const std::string& text) {
    ++scanned_;
    for (const auto& [name, canary] : canaries_) {
      if (!absl::StrContains(text, canary)) continue;
      ++leaks_;
      ADD_FAILURE() << name << " in " << what << ":\n" << text.substr(0, 4000);
    }
  }

  std::string lab_;
  std::unique_ptr<NodeProcess> node_;
  std::vector<std::pair<std::string, std::string>> outputs_, canaries_;
  int scanned_ = 0, leaks_ = 0;
};

TEST_F(Canaries, P7_NoSecretOfAConfigAppearsInAnyOutput) {
  canaries_ = {{"token", "canary-server-token-41f7"},
               {"agentToken", "canary-agent-token-92c0"},
               {"nodePassword", "canary-node-password-7d11"},
               {"registry password", "canary-registry-password-e5"},
               {"manifest", "canary-manifest-content-b8"}};
  ASSERT_EQ(Ctl({"pin", "n1", "--node", node_->endpoint(), "--fingerprint", node_->fingerprint()})
                .exit_code,
            0);
  const std::string file = lab_ + "/n1.yaml";
  auto write = [&](const std::string& label, const std::string& more) {
    std::string yaml = absl::StrCat(
        "apiVersion: basalt/v1\nkind: MachineConfig\nmetadata: {cluster: home, name: n1}\napi:\n"
        "  clientCas:\n    - name: owner\n      roles: [admin]\n      certificate: |\n");
    for (absl::string_view line : absl::StrSplit(ReadAll(lab_ + "/ca/ca.crt"), '\n')) {
      absl::StrAppend(&yaml, "        ", line, "\n");
    }
    absl::StrAppend(
        &yaml, "k3s:\n  role: server\n  version: v1.30.4+k3s1\n  token: ", canaries_[0].second,
        "\n  agentToken: ", canaries_[1].second, "\n  nodePassword: ", canaries_[2].second,
        "\n  artifacts:\n    ", Architecture(), ":\n      urls: [\"", DoubleUrl(),
        "\"]\n      sha256: ", DoubleSha256(), "\n  node: {labels: {site: ", label,
        "}}\n  registries:\n    configs:\n      - {name: \"mirror.example.org\", username: node, "
        "password: ",
        canaries_[3].second, "}\n  manifests:\n    - name: hello\n      content: |\n        # ",
        canaries_[4].second, "\n        {apiVersion: v1, kind: Namespace, metadata: {name: x}}\n",
        more);
    WriteAll(file, yaml);
  };
  write("one", "");
  EXPECT_EQ(Ctl({"validate", "-f", file}).exit_code, 0);
  EXPECT_EQ(Ctl({"plan", "-f", file, "-n", "n1"}).exit_code, 0);
  Ran applied = Ctl({"apply", "-f", file, "--allow-plaintext", "--yes", "--timeout", "2m"});
  ASSERT_EQ(applied.exit_code, 0) << applied.out << applied.err << node_->Log();
  // Other secrets: a diff has an old and a new one.
  std::vector<std::pair<std::string, std::string>> second = canaries_;
  canaries_[3].second = "canary-other-password-0a";
  canaries_[4].second = "canary-other-manifest-3c";
  write("two", "");
  // The secrets' fields are told, or the scan would prove nothing.
  Ran diff = Ctl({"diff", "-f", file, "-n", "n1"});
  EXPECT_TRUE(absl::StrContains(diff.out, "k3s.registries")) << diff.out << diff.err;
  Ctl({"plan", "-f", file, "-n", "n1", "-o", "json"});
  EXPECT_EQ(Ctl({"sign", "-f", file, "--allow-plaintext", "-o", lab_ + "/n1.json"}).exit_code, 0);
  Ctl({"verify", "-f", lab_ + "/n1.json", "--trust", lab_ + "/trust.json"});
  Ctl({"plan", "-f", lab_ + "/n1.json", "-n", "n1"});
  Ctl({"diff", "-f", lab_ + "/n1.json", "-n", "n1", "-o", "json"});
  Ran again = Ctl({"apply", "-f", lab_ + "/n1.json", "--yes", "-o", "json", "--timeout", "2m"});
  EXPECT_EQ(again.exit_code, 0) << again.out << again.err;
  for (const char* kind : {"MachineStatus", "ConfigStatus", "Generation", "Service", "K3sStatus"}) {
    EXPECT_EQ(Ctl({"get", kind, "-n", "n1", "-o", "json"}).exit_code, 0) << kind;
    Ctl({"get", kind, "-n", "n1"});
  }
  EXPECT_EQ(Ctl({"history", "-n", "n1", "-o", "json"}).exit_code, 0);
  EXPECT_EQ(Ctl({"status"}).exit_code, 0);
  Ctl({"status", "-o", "json"});
  EXPECT_EQ(Ctl({"logs", "-n", "n1"}).exit_code, 0);
  EXPECT_EQ(Ctl({"kubeconfig", "-n", "n1"}).exit_code, 0);
  // Mistakes near secrets: what is wrong is said, what is there is not.
  write("three", "  token: canary-server-token-41f7\n");
  EXPECT_NE(Ctl({"validate", "-f", file}).exit_code, 0);
  write("three", "  tokn: canary-server-token-41f7\n");
  EXPECT_NE(Ctl({"validate", "-f", file}).exit_code, 0);
  write("three", "  config: {token: canary-server-token-41f7}\n");
  EXPECT_NE(Ctl({"validate", "-f", file, "-o", "json"}).exit_code, 0);
  Ctl({"apply", "-f", file, "--allow-plaintext", "--yes"});
  auto config = (*client::Connect({.name = "n1",
                                   .endpoint = node_->endpoint(),
                                   .fingerprint = node_->fingerprint(),
                                   .cluster = "home",
                                   .certificate_pem = ReadAll(lab_ + "/ca/admin.crt"),
                                   .key_pem = ReadAll(lab_ + "/ca/admin.key")}))
                    ->GetConfig(0);
  ASSERT_TRUE(config.ok()) << config.status();

  canaries_.insert(canaries_.end(), second.begin() + 3, second.end());
  for (const auto& [what, text] : outputs_) Scan("nodectl " + what, text);
  Scan("GetConfig", config->yaml());
  Scan("the log of noded", node_->Log());
  const pid_t init = node_->init_pid(), noded = node_->noded_pid();
  std::set<pid_t> pids = {init, noded};
  for (pid_t pid : node_->K3sProcesses()) pids.insert(pid);
  EXPECT_GE(pids.size(), 4u);
  for (pid_t pid : pids) {
    for (const char* name : {"cmdline", "environ"}) {
      const std::string path = absl::StrCat("/proc/", pid, "/", name);
      Scan(path, ReadAll(path));
    }
  }
  // On the node's disk only where it needs them, and for nobody else to read.
  for (const auto& entry : fs::recursive_directory_iterator(node_->dir())) {
    if (!entry.is_regular_file() || entry.file_size() > (1 << 20)) continue;
    const std::string path = entry.path();
    if (!IsTheirPlace(path, node_->dir())) {
      Scan(path, ReadAll(path));
    } else if (!absl::StartsWith(path, node_->Path("data/k3s/"))) {
      const std::string text = ReadAll(path);
      for (const auto& [name, canary] : canaries_) {
        if (!absl::StrContains(text, canary)) continue;
        EXPECT_EQ(entry.status().permissions() & fs::perms(077), fs::perms::none)
            << name << " in " << path << " is open to others";
      }
    }
  }
  std::cout << "P7: canaries " << canaries_.size() << ", texts scanned " << scanned_ << ", leaks "
            << leaks_ << ", skips 0\n";
  EXPECT_GT(scanned_, 40);
}

}  // namespace
}  // namespace basalt::testing
