// P7: secrets that were planted in a config appear in nothing that comes out of the programs.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <iostream>
#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/fault/process/process_fixture.h"
#include "tests/support/process/await.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;

// Where K3s itself must find them: 0600, and never an output. Not where documents are kept: there
// they are sealed.
bool IsTheirPlace(const std::string& path, const std::string& root) {
  for (const char* place : {"/etc/rancher/", "/run/", "/data/k3s/"}) {
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

  // Files below `directory`, each scanned; `except`: what holds them by intention.
  void ScanFiles(const std::string& directory, const std::set<std::string>& except = {}) {
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
      if (!entry.is_regular_file() || except.count(entry.path()) > 0) continue;
      Scan(entry.path(), ReadAll(entry.path()));
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
               {"manifest", "canary-manifest-content-b8"},
               {"datastore password", "canary-datastore-password-c6"},
               {"registry token", "canary-registry-token-19"}};
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
        "\"]\n      sha256: ", DoubleSha256(),
        "\n  datastore:\n    endpoint: postgres://k3s:", canaries_[5].second,
        "@127.0.0.1:5432/k3s\n  node: {labels: {site: ", label,
        "}}\n  registries:\n    configs:\n      - name: mirror.example.org\n        username: "
        "node\n"
        "        password: ",
        canaries_[3].second,
        "\n      - name: tokens.example.org\n        token: ", canaries_[6].second,
        "\n  manifests:\n    - name: hello\n      content: |\n        # ", canaries_[4].second,
        "\n        {apiVersion: v1, kind: Namespace, metadata: {name: x}}\n", more);
    WriteAll(file, yaml);
  };
  write("one", "");
  EXPECT_EQ(Ctl({"validate", "-f", file}).exit_code, 0);
  EXPECT_EQ(Ctl({"plan", "-f", file, "-n", "n1"}).exit_code, 0);
  Ran applied = Ctl({"apply", "-f", file, "--yes", "--timeout", "2m"});
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
  EXPECT_EQ(Ctl({"sign", "-f", file, "-o", lab_ + "/n1.json"}).exit_code, 0);
  Ctl({"verify", "-f", lab_ + "/n1.json", "--trust", lab_ + "/trust.json"});
  Ctl({"plan", "-f", lab_ + "/n1.json", "-n", "n1"});
  Ctl({"diff", "-f", lab_ + "/n1.json", "-n", "n1", "-o", "json"});
  Ran again = Ctl({"apply", "-f", lab_ + "/n1.json", "--yes", "-o", "json", "--timeout", "2m"});
  EXPECT_EQ(again.exit_code, 0) << again.out << again.err;
  for (const char* kind : {"MachineStatus", "ConfigStatus", "Generation", "Service", "K3sStatus"}) {
    for (const char* format : {"table", "wide", "json", "yaml", "name"}) {
      EXPECT_EQ(Ctl({"get", kind, "-n", "n1", "-o", format}).exit_code, 0) << kind << format;
    }
  }
  EXPECT_EQ(Ctl({"history", "-n", "n1", "-o", "json"}).exit_code, 0);
  // The source sealed in place: it means the same, and from here on it holds none either.
  EXPECT_EQ(Ctl({"seal", "-f", file, "--all"}).exit_code, 0);
  Ran same = Ctl({"apply", "-f", file, "--yes", "--timeout", "2m"});
  EXPECT_TRUE(absl::StrContains(same.out + same.err, "unchanged")) << same.out << same.err;
  Ctl({"plan", "-f", file, "-o", "yaml"});
  EXPECT_NE(Ctl({"plan", "-f", file, "--no-such-flag"}).exit_code, 0);
  EXPECT_NE(Ctl({"unseal", "-f", file, "k3s.tokn"}).exit_code, 0);
  canaries_.insert(canaries_.end(), second.begin() + 3, second.begin() + 5);
  ScanFiles(lab_);
  canaries_.resize(second.size());
  const std::string history = Ctl({"history", "-n", "n1", "-o", "json"}).out;
  const size_t oldest = history.rfind("\"generation\":");
  ASSERT_NE(oldest, std::string::npos) << history;
  std::string number = history.substr(oldest + 13, 24);
  number.erase(0, number.find_first_of("0123456789"));
  number.resize(std::min(number.size(), number.find_first_not_of("0123456789")));
  Ran back = Ctl({"rollback", number, "-n", "n1", "--yes", "--timeout", "2m"});
  EXPECT_EQ(back.exit_code, 0) << back.out << back.err << number;
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
  Ctl({"apply", "-f", file, "--yes"});
  auto config = (*client::Connect({.name = "n1",
                                   .endpoint = node_->endpoint(),
                                   .fingerprint = node_->fingerprint(),
                                   .cluster = "home",
                                   .certificate_pem = ReadAll(lab_ + "/ca/admin.crt"),
                                   .key_pem = ReadAll(lab_ + "/ca/admin.key")}))
                    ->GetConfig(0);
  ASSERT_TRUE(config.ok()) << config.status();

  canaries_.insert(canaries_.end(), second.begin() + 3, second.begin() + 5);
  ScanFiles(lab_, {file});  // signed/, the inventory: everything that may be in Git
  for (const auto& [what, text] : outputs_) Scan("nodectl " + what, text);
  Scan("GetConfig", config->yaml());
  Scan("the log of noded", node_->Log());
  const pid_t init = node_->init_pid(), noded = node_->noded_pid();
  std::set<pid_t> pids = {init, noded};
  for (pid_t pid : node_->K3sProcesses()) pids.insert(pid);
  EXPECT_GE(pids.size(), 4u);
  const std::string datastore =
      absl::StrCat("K3S_DATASTORE_ENDPOINT=postgres://k3s:", canaries_[5].second);
  for (pid_t pid : pids) {
    for (const char* name : {"cmdline", "environ"}) {
      const std::string path = absl::StrCat("/proc/", pid, "/", name);
      // K3s is told its datastore in its environment, which only root and K3s itself can read.
      std::string text = ReadAll(path);
      if (pid != init && pid != noded && name == std::string("environ")) {
        text = absl::StrReplaceAll(text, {{datastore, ""}});
      }
      Scan(path, text);
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

// Those that no config of the test above can hold beside its own: snapshots want embedded etcd; a
// network that this platform does not make is planned, sent and refused.
TEST_F(Canaries, P7_NorDoSecretsOfSnapshotsNetworksDisksAndSinks) {
  canaries_ = {{"token", "canary-server-token-41f7"},
               {"S3 access key", "canary-s3-access-key-5e"},
               {"S3 secret key", "canary-s3-secret-key-b0"},
               {"S3 session token", "canary-s3-session-token-77"},
               {"wireguard private key", "Y2FuYXJ5LXdpcmVndWFyZC1wcml2YXRlLWtleS0wMDE="},
               {"wireguard preshared key", "Y2FuYXJ5LXdpcmVndWFyZC1wcmVzaGFyZWQta2V5LTI="},
               {"wifi psk", "canary-wifi-psk-3d"},
               {"volume passphrase", "canary-volume-passphrase-8a"},
               {"proxy password", "canary-proxy-password-64"},
               {"sink token", "canary-sink-token-f2"}};
  ASSERT_EQ(Ctl({"pin", "n1", "--node", node_->endpoint(), "--fingerprint", node_->fingerprint()})
                .exit_code,
            0);
  const std::string file = lab_ + "/n1.yaml";
  auto write = [&](const std::string& more) {
    std::string yaml = absl::StrCat(
        "apiVersion: basalt/v1\nkind: MachineConfig\nmetadata: {cluster: home, name: n1}\napi:\n"
        "  clientCas:\n    - name: owner\n      roles: [admin]\n      certificate: |\n");
    for (absl::string_view line : absl::StrSplit(ReadAll(lab_ + "/ca/ca.crt"), '\n')) {
      absl::StrAppend(&yaml, "        ", line, "\n");
    }
    absl::StrAppend(
        &yaml, "k3s:\n  role: server\n  version: v1.30.4+k3s1\n  token: ", canaries_[0].second,
        "\n  agentToken: not-a-canary-but-long-enough\n  cluster: {init: true}\n  artifacts:\n    ",
        Architecture(), ":\n      urls: [\"", DoubleUrl(), "\"]\n      sha256: ", DoubleSha256(),
        "\n  snapshots:\n    s3:\n      bucket: snapshots\n      folder: home\n      accessKey: ",
        canaries_[1].second, "\n      secretKey: ", canaries_[2].second,
        "\n      sessionToken: ", canaries_[3].second, "\n", more);
    WriteAll(file, yaml);
  };
  write("");
  Ran applied = Ctl({"apply", "-f", file, "--yes", "--timeout", "2m"});
  ASSERT_EQ(applied.exit_code, 0) << applied.out << applied.err << node_->Log();
  write(absl::StrCat(
      "network:\n  interfaces:\n    - name: wg0\n      addresses: [10.8.0.1/24]\n      wireguard:\n"
      "        privateKey: ",
      canaries_[4].second, "\n        peers:\n          - name: office\n            publicKey: ",
      "YS1wdWJsaWMta2V5LXRoYXQtaXMtbm8tc2VjcmV0LTM=\n            presharedKey: ",
      canaries_[5].second,
      "\n            allowedIps: [10.8.0.2/32]\n    - name: wlan0\n      dhcp4: true\n      wifi: "
      "{ssid: "
      "home, country: AT, psk: ",
      canaries_[6].second,
      "}\nstorage:\n  volumes:\n    - name: data\n      path: /var/lib/data\n      disk: {serial: "
      "A1}\n"
      "      encryption: {key: passphrase, passphrase: ",
      canaries_[7].second,
      "}\nsystem:\n  proxy: {https: \"http://proxy.lan:3128\", username: node, password: ",
      canaries_[8].second,
      "}\naudit:\n  sinks:\n    - name: siem\n      endpoint: https://logs.example.org/ingest\n    "
      "  "
      "token: ",
      canaries_[9].second, "\n"));
  EXPECT_EQ(Ctl({"validate", "-f", file}).exit_code, 0) << outputs_.back().second;
  Ran plan = Ctl({"plan", "-f", file});
  for (const char* told : {"wireguard", "wifi", "encryption", "proxy", "sinks"}) {
    EXPECT_TRUE(absl::StrContains(plan.out, told)) << told << plan.out << plan.err;
  }
  for (const char* format : {"json", "yaml"}) Ctl({"plan", "-f", file, "-o", format});
  Ctl({"diff", "-f", file});
  Ctl({"describe", "-f", file});
  EXPECT_EQ(Ctl({"sign", "-f", file, "-o", lab_ + "/n1.json", "--yes"}).exit_code, 0);
  EXPECT_NE(Ctl({"apply", "-f", file, "--yes", "--timeout", "1m"}).exit_code, 0);
  Ctl({"apply", "-f", lab_ + "/n1.json", "--yes", "-o", "json", "--timeout", "1m"});
  EXPECT_EQ(Ctl({"patch", "-f", file, "--set", "k3s.node.labels={a: b}", "--dry-run"}).exit_code,
            0);
  Ctl({"config", "migrate", "-f", file});
  EXPECT_EQ(Ctl({"seal", "-f", file, "--all"}).exit_code, 0);
  ScanFiles(lab_);
  Ctl({"plan", "-f", file});
  for (const char* format : {"table", "json"}) Ctl({"history", "-n", "n1", "-o", format});
  Ctl({"describe", "n1"});
  Ctl({"logs", "-n", "n1"});
  for (const auto& [what, text] : outputs_) Scan("nodectl " + what, text);
  Scan("the log of noded", node_->Log());
  for (const pid_t pid : {node_->init_pid(), node_->noded_pid()}) {
    Scan("cmdline", ReadAll(absl::StrCat("/proc/", pid, "/cmdline")));
  }
  for (pid_t pid : node_->K3sProcesses()) {
    Scan("cmdline of K3s", ReadAll(absl::StrCat("/proc/", pid, "/cmdline")));
  }
  for (const auto& entry : fs::recursive_directory_iterator(node_->dir())) {
    if (!entry.is_regular_file() || entry.file_size() > (1 << 20)) continue;
    if (!IsTheirPlace(entry.path(), node_->dir())) Scan(entry.path(), ReadAll(entry.path()));
  }
  std::cout << "P7: canaries " << canaries_.size() << ", texts scanned " << scanned_ << ", leaks "
            << leaks_ << "\n";
  EXPECT_GT(scanned_, 30);
}

// A core dump would be a file with every opened secret in it.
TEST_F(Canaries, P7_NodedLeavesNoCoreDump) {
  std::string pattern = ReadAll("/proc/sys/kernel/core_pattern");
  if (pattern.empty() || pattern[0] == '|' || pattern[0] == '/') {
    GTEST_SKIP() << "cores of this machine go elsewhere: " << pattern;
  }
  // Whoever starts noded may want cores: the limit and the directory are inherited.
  const std::string directory = fs::path(lab_).parent_path();
  const fs::path before = fs::current_path();
  rlimit limit{}, most{};
  ASSERT_EQ(getrlimit(RLIMIT_CORE, &limit), 0);
  most = {limit.rlim_max, limit.rlim_max};
  if (most.rlim_cur == 0) GTEST_SKIP() << "no core may be written here anyway";
  ASSERT_EQ(setrlimit(RLIMIT_CORE, &most), 0);
  fs::current_path(directory);
  NodeProcess dumping(TheOwner());
  const absl::Status started = dumping.Start();
  fs::current_path(before);
  ASSERT_EQ(setrlimit(RLIMIT_CORE, &limit), 0);
  ASSERT_TRUE(started.ok()) << started;
  const pid_t first = dumping.noded_pid();
  EXPECT_EQ(fs::read_symlink(absl::StrCat("/proc/", first, "/cwd")), directory);
  dumping.KillNoded(SIGABRT);
  ASSERT_TRUE(dumping.AwaitNoded(first));
  for (const auto& entry : fs::directory_iterator(directory)) {
    EXPECT_FALSE(absl::StartsWith(entry.path().filename().string(), "core")) << entry.path();
  }
}

}  // namespace
}  // namespace basalt::testing
