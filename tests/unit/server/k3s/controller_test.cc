// The controller's order of steps, with fakes and a stepped clock.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "api/coded_status.h"
#include "server/k3s/k3s_parts.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/supervisor/fake_supervisor.h"
#include "tests/support/vfs/fake_vfs.h"
#include "tests/unit/server/k3s/configs.h"

namespace basalt::k3s {
namespace {

using testing::AgentConfig;
using testing::FakeClock;
using testing::FakeRandom;
using testing::FakeSupervisor;
using testing::FakeVfs;
using testing::ManualExecutor;
using testing::ServerConfig;

class FakePlatform : public host::Platform {
 public:
  FakePlatform() {
    paths_.root = "/n";
    hardware_ = {.architecture = "amd64", .memory_total = int64_t{8} << 30, .cpus = 4};
  }
  std::string name() const override { return "sandbox"; }
  const host::NodePaths& paths() const override { return paths_; }
  const host::Hardware& hardware() const override { return hardware_; }
  std::string k3s_address() const override { return "127.0.0.5"; }
  bool k3s_confined() const override { return true; }
  bool owns_namespaces() const override { return owns; }
  bool owns = false;

  std::string Unimplemented(const std::string&) const override { return ""; }
  absl::Status Reboot() override { return absl::OkStatus(); }

 private:
  host::NodePaths paths_;
  host::Hardware hardware_;
};

class FakeStore : public artifacts::ArtifactStore {
 public:
  void Ensure(const std::string& what, const v1::Artifact& artifact,
              const std::vector<std::string>& env, engine::OnProgress, engine::Done done) override {
    environment = env;
    ensured.push_back(artifact.sha256());
    done(ensure);
  }
  void Cancel() override {}
  void Open(const std::string& sha256, OpenDone done) override {
    if (!open.ok()) return done(open);
    done(std::make_shared<host::UniqueFd>(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
  }
  std::string Path(const std::string& sha256) const override {
    return "/n/data/store/sha256-" + sha256;
  }
  void OnServiceEvent(const host::ServiceEvent&) override {}
  void KeepOnly(std::set<std::string> digests) override { kept = std::move(digests); }

  absl::Status ensure, open;
  std::vector<std::string> ensured, environment;
  std::set<std::string> kept;
};

class FakeProbe : public NodeProbe {
 public:
  ProbeResult Probe(const ProbeTarget& target) override {
    ++probes;
    ProbeResult now = result;
    // As the real one: what was posted before the start counts for nothing.
    if (now.heartbeat < target.started) now.node_ready = false;
    return now;
  }
  absl::Status PatchLabels(const ProbeTarget&, const LabelPatch& patch) override {
    patches.push_back(patch);
    if (!patch_status.ok()) return patch_status;
    for (const auto& [key, value] : patch) {
      if (value)
        result.labels[key] = *value;
      else
        result.labels.erase(key);
    }
    return absl::OkStatus();
  }

  ProbeResult result;
  absl::Status patch_status;
  int probes = 0;
  std::vector<LabelPatch> patches;
};

class FakeFiles : public NodeFiles {
 public:
  absl::Status LinkImages(const std::string&, const std::map<std::string, std::string>&) override {
    return absl::OkStatus();
  }
  absl::StatusOr<TreeRecord> ReadTree(const std::string&, int, bool contents) override {
    if (!tree.ok()) return tree;
    if (!contents) return TreeRecord{.hash = std::string(64, 'd')};
    return TreeRecord{.hash = std::string(64, 'd'), .files = {{"bin/k3s", {.size = 1}}}};
  }
  std::vector<std::string> CompareTree(const std::string&, const TreeRecord&) override {
    return changed;
  }
  void RemoveTree(const std::string&, const std::string& hash) override { removed.push_back(hash); }
  void KeepTrees(const std::string&, const std::set<std::string>& keep) override {
    kept_trees.push_back(keep);
  }
  std::vector<std::string> Trees(const std::string&) override { return {std::string(64, 'd')}; }
  absl::Status Erase(const std::vector<std::string>& places) override {
    erased = places;
    return absl::OkStatus();
  }
  absl::Status CleanUp(const std::string&, bool owns) override {
    ++cleanups;
    owned = owns;
    return absl::OkStatus();
  }
  absl::StatusOr<absl::Duration> MeasureDisk(const std::string&) override {
    ++measured;
    return disk;
  }
  std::string PortTaken(const std::string&, int port) override {
    return port == taken ? "port taken" : "";
  }
  std::string ResolvConf() override { return "/etc/resolv.conf"; }
  std::vector<std::string> Addresses() override { return {}; }

  absl::Status tree;
  std::vector<std::string> changed, removed, erased;
  std::vector<std::set<std::string>> kept_trees;
  int cleanups = 0;
  bool owned = false;
  absl::Duration disk = absl::Milliseconds(2);
  int measured = 0;
  int taken = 0;
};

class FakeSweep : public RuleSweep {
 public:
  void Sweep(std::vector<std::string> places, Done done) override {
    dirs.push_back(std::move(places));
    done(note);
  }
  void OnServiceEvent(const host::ServiceEvent&) override {}

  std::vector<std::vector<std::string>> dirs;
  std::string note;
};

class FakeReleaseCheck : public ReleaseCheck {
 public:
  void Check(const std::string& sha256, const std::string& version, engine::Done done) override {
    asked.push_back(absl::StrCat(sha256.substr(0, 4), " ", version));
    done(result);
  }
  void OnServiceEvent(const host::ServiceEvent&) override {}

  std::vector<std::string> asked;
  absl::Status result;
};

class ControllerTest : public ::testing::Test {
 protected:
  ControllerTest() {
    for (const char* dir : {"state", "data", "run", "etc"}) EXPECT_TRUE(vfs_.MakeDirs(dir).ok());
    probe_->result = {.ping = true,
                      .readyz = true,
                      .node_seen = true,
                      .node_ready = true,
                      .heartbeat = absl::InfiniteFuture()};
    Make();
    supervisor_.on_event = [this] { executor_.Post([this] { Pump(); }); };
  }
  void Make() {
    auto store = std::make_unique<FakeStore>();
    store_ = store.get();
    K3sParts parts;
    parts.store = std::move(store);
    parts.probe = probe_;
    parts.files = files_;
    auto rules = std::make_unique<FakeSweep>();
    rules_ = rules.get();
    parts.rules = std::move(rules);
    auto release = std::make_unique<FakeReleaseCheck>();
    release_ = release.get();
    parts.release = std::move(release);
    controller_ = MakeK3sController({.executor = executor_,
                                     .vfs = vfs_,
                                     .clock = clock_,
                                     .random = random_,
                                     .platform = platform_,
                                     .supervisor = supervisor_,
                                     .fetch_program = "",
                                     .unsynced_allowed = [this] { return unsynced_allowed_; }},
                                    std::move(parts));
  }
  void Pump() {
    for (const host::ServiceEvent& event :
         supervisor_.Events(seq_).value_or(std::vector<host::ServiceEvent>{})) {
      seq_ = event.seq;
      controller_->OnServiceEvent(event);
    }
  }
  absl::Status Execute(const v1::MachineConfig* to) {
    absl::Status result = absl::UnknownError("not done");
    controller_->Execute(to, [&result](absl::Status status) { result = std::move(status); });
    executor_.RunUntilIdle();
    return result;
  }
  absl::Status Prepare(const v1::MachineConfig& to) {
    absl::Status result = absl::UnknownError("not done");
    controller_->Prepare(to, nullptr,
                         [&result](absl::Status status) { result = std::move(status); });
    executor_.RunUntilIdle();
    return result;
  }
  void StartAndReady(const v1::MachineConfig& config) {
    ASSERT_TRUE(Execute(&config).ok());
    supervisor_.Ready("k3s");
    executor_.Advance(absl::Seconds(3));
    ASSERT_EQ(Status().rung(), "nodeReady");
  }
  v1::K3sStatus Status() {
    std::vector<v1::Resource> resources = controller_->Resources();
    return resources.empty() ? v1::K3sStatus() : resources[0].k3s_status();
  }

  FakeClock clock_;
  FakeRandom random_;
  ManualExecutor executor_{clock_};
  FakeVfs vfs_;
  FakePlatform platform_;
  FakeSupervisor supervisor_{clock_};
  std::shared_ptr<FakeProbe> probe_ = std::make_shared<FakeProbe>();
  std::shared_ptr<FakeFiles> files_ = std::make_shared<FakeFiles>();
  bool unsynced_allowed_ = false;
  FakeStore* store_ = nullptr;
  FakeSweep* rules_ = nullptr;
  FakeReleaseCheck* release_ = nullptr;
  std::unique_ptr<K3sController> controller_;
  uint64_t seq_ = 0;
};

TEST_F(ControllerTest, StartsWithTheConfigurationByEnvironmentAndNoSecretInSight) {
  StartAndReady(ServerConfig());
  const host::ServiceSpec* spec = supervisor_.Spec("k3s");
  EXPECT_EQ(spec->argv, (std::vector<std::string>{"k3s", "server"}));
  EXPECT_TRUE(spec->notify);
  EXPECT_TRUE(spec->restart.always);
  EXPECT_EQ(*vfs_.Read("run/k3s-token"), "server-token-0123456789");
  for (const engine::Condition& condition : controller_->Observe()) EXPECT_TRUE(condition.holds);
}

TEST_F(ControllerTest, K6_TheSameConfigAgainTouchesNothingAndWritesNothing) {
  StartAndReady(ServerConfig());
  auto before = vfs_.counters();
  v1::MachineConfig config = ServerConfig();
  ASSERT_TRUE(Execute(&config).ok());
  executor_.Advance(absl::Minutes(10));
  EXPECT_EQ(supervisor_.started().size(), 1u);
  EXPECT_EQ(supervisor_.stopped().size(), 0u);
  EXPECT_EQ(vfs_.counters().operations, before.operations) << "a node at rest writes nothing";
}

TEST_F(ControllerTest, K6_ANewNodedRecognisesWhatRuns) {
  StartAndReady(ServerConfig());
  Make();
  v1::MachineConfig config = ServerConfig();
  ASSERT_TRUE(Execute(&config).ok());
  executor_.Advance(absl::Seconds(3));
  EXPECT_EQ(supervisor_.started().size(), 1u);
  EXPECT_EQ(Status().rung(), "nodeReady");
}

TEST_F(ControllerTest, AChangeStopsWaitsAndStarts) {
  StartAndReady(ServerConfig());
  supervisor_.obeys_stop = false;
  v1::MachineConfig config = ServerConfig();
  config.mutable_k3s()->add_tls_sans("other");
  absl::Status result = absl::UnknownError("not done");
  controller_->Execute(&config, [&](absl::Status status) { result = status; });
  executor_.RunUntilIdle();
  EXPECT_EQ(supervisor_.started().size(), 1u) << "the old one has not ended";
  EXPECT_FALSE(controller_->Observe()[1].holds);
  supervisor_.Exit("k3s", 1);
  executor_.RunUntilIdle();
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(supervisor_.started().size(), 2u);
  EXPECT_EQ(files_->cleanups, 0) << "pods outlive a restart";
}

TEST_F(ControllerTest, RoleChangeAndRemovalCleanUp) {
  StartAndReady(ServerConfig());
  v1::MachineConfig agent = AgentConfig();
  ASSERT_TRUE(Execute(&agent).ok());
  EXPECT_EQ(files_->cleanups, 1);
  EXPECT_EQ(supervisor_.Spec("k3s")->argv[1], "agent");
  EXPECT_FALSE(vfs_.Exists("run/k3s-agent-token"));
  ASSERT_TRUE(Execute(nullptr).ok());
  EXPECT_EQ(files_->cleanups, 2);
  EXPECT_FALSE(vfs_.Exists("run/k3s-token"));
  EXPECT_FALSE(vfs_.Exists("etc/rancher/k3s/config.yaml"));
  EXPECT_TRUE(controller_->Observe().empty());
}

TEST_F(ControllerTest, AFullStopLeavesWhatMayBeAnotherNodes) {
  StartAndReady(ServerConfig());
  ASSERT_TRUE(Execute(nullptr).ok());
  EXPECT_EQ(files_->cleanups, 1);
  EXPECT_FALSE(files_->owned);
  EXPECT_TRUE(rules_->dirs.empty());
}

TEST_F(ControllerTest, AFullStopClearsNamespacesThatAreTheNodesOwn) {
  platform_.owns = true;
  StartAndReady(ServerConfig());
  v1::MachineConfig agent = AgentConfig();
  ASSERT_TRUE(Execute(&agent).ok()) << "a role change";
  EXPECT_TRUE(files_->owned);
  ASSERT_EQ(rules_->dirs.size(), 1u);
  EXPECT_EQ(rules_->dirs[0].back(), "/fake/data/k3s/data/" + std::string(64, 'd') + "/bin/aux")
      << "K3s's own iptables, after the machine's";
  rules_->note = "no iptables is here";
  ASSERT_TRUE(Execute(nullptr).ok());
  EXPECT_EQ(rules_->dirs.size(), 2u);
  EXPECT_EQ(Status().message(), "no iptables is here");
  EXPECT_EQ(Status().reason(), "Removed");
}

TEST_F(ControllerTest, K4_ADamagedArtifactStartsNothing) {
  store_->open = api::Coded(absl::StatusCode::kDataLoss, "artifact-damaged", "other bytes");
  v1::MachineConfig config = ServerConfig();
  EXPECT_EQ(api::Reason(Execute(&config)), "artifact-damaged");
  EXPECT_TRUE(supervisor_.started().empty());
}

TEST_F(ControllerTest, AFailedDownloadLeavesWhatRuns) {
  StartAndReady(ServerConfig());
  store_->ensure = api::Coded(absl::StatusCode::kUnavailable, "artifact-stalled", "slow");
  v1::MachineConfig config = ServerConfig();
  config.mutable_k3s()->mutable_artifacts()->mutable_amd64()->set_sha256(std::string(64, 'b'));
  EXPECT_EQ(api::Reason(Prepare(config)), "artifact-stalled");
  EXPECT_EQ(api::Reason(Execute(&config)), "artifact-stalled");
  EXPECT_TRUE(supervisor_.stopped().empty());
}

TEST_F(ControllerTest, ATakenPortIsNamedBeforeAFirstStartOnly) {
  files_->taken = 6443;
  EXPECT_EQ(api::Reason(Prepare(ServerConfig())), "port-in-use");
  files_->taken = 0;
  StartAndReady(ServerConfig());
  files_->taken = 6443;  // K3s's own
  EXPECT_TRUE(Prepare(ServerConfig()).ok());
}

TEST_F(ControllerTest, EtcdIsRefusedOnASlowDiskUnlessThatIsMeant) {
  v1::MachineConfig config = ServerConfig();
  files_->disk = absl::Milliseconds(70);
  EXPECT_TRUE(Prepare(config).ok()) << "SQLite";
  EXPECT_EQ(files_->measured, 0);
  config.mutable_k3s()->mutable_cluster()->set_init(true);
  EXPECT_EQ(api::Reason(Prepare(config)), "guard-etcd-slow-disk");
  v1::GuardOverride* override = config.mutable_k3s()->add_overrides();
  override->set_guard("etcdFsync");
  override->set_reason("a lab");
  EXPECT_TRUE(Prepare(config).ok());
  config.mutable_k3s()->clear_overrides();
  files_->disk = absl::Milliseconds(2);
  EXPECT_TRUE(Prepare(config).ok());
}

TEST_F(ControllerTest, LabelsAreSetAndThoseOfOursRemovedLive) {
  v1::MachineConfig config = ServerConfig();
  (*config.mutable_k3s()->mutable_node()->mutable_labels())["old"] = "1";
  probe_->result.labels = {{"foreign", "x"}, {"old", "1"}};
  StartAndReady(config);
  config.mutable_k3s()->mutable_node()->mutable_labels()->clear();
  (*config.mutable_k3s()->mutable_node()->mutable_labels())["site"] = "lab";
  ASSERT_TRUE(Execute(&config).ok());
  executor_.Advance(absl::Seconds(3));
  EXPECT_EQ(probe_->result.labels,
            (std::map<std::string, std::string>{{"foreign", "x"}, {"site", "lab"}}));
  EXPECT_EQ(supervisor_.started().size(), 1u);
}

TEST_F(ControllerTest, RefusedLabelsAreShownAndNotTriedForEver) {
  v1::MachineConfig config = AgentConfig();
  (*config.mutable_k3s()->mutable_node()->mutable_labels())["site"] = "lab";
  probe_->patch_status = absl::PermissionDeniedError("not these");
  StartAndReady(config);
  executor_.Advance(absl::Minutes(5));
  EXPECT_EQ(probe_->patches.size(), 1u);
  EXPECT_EQ(Status().message(), "not these");
}

TEST_F(ControllerTest, K2_AHangingK3sIsRestartedAfterItsLivenessTime) {
  StartAndReady(ServerConfig());
  probe_->result = {};
  executor_.Advance(absl::Seconds(60));
  EXPECT_EQ(supervisor_.started().size(), 1u);
  EXPECT_EQ(controller_->Observe()[1].code, "k3s-hangs");
  executor_.Advance(absl::Seconds(120));
  EXPECT_EQ(supervisor_.started().size(), 2u);
}

TEST_F(ControllerTest, K1_ThreeExitsMakeItHopelessWithTheLastLines) {
  v1::MachineConfig config = ServerConfig();
  ASSERT_TRUE(Execute(&config).ok());
  for (int i = 0; i < 3; ++i) {
    executor_.Advance(absl::Seconds(5));
    supervisor_.Write("k3s", "time=x level=fatal msg=\"bad server-token-0123456789\"\n");
    supervisor_.Exit("k3s", 1);
    executor_.RunUntilIdle();
    if (i < 2) supervisor_.PassBackoff("k3s");
    executor_.RunUntilIdle();
  }
  engine::Condition running = controller_->Observe()[0];
  EXPECT_EQ(running.code, "k3s-exited");
  EXPECT_TRUE(running.hopeless);
  EXPECT_EQ(Status().last_lines_size(), 3);
  EXPECT_EQ(Status().last_lines(0), "time=x level=fatal msg=\"bad (redacted)\"");
}

TEST_F(ControllerTest, K4_AChangedTreeIsRemovedBeforeTheStartAndSaid) {
  StartAndReady(ServerConfig());
  ASSERT_TRUE(Execute(nullptr).ok());
  files_->changed = {"bin/runc"};
  StartAndReady(ServerConfig());
  EXPECT_EQ(files_->removed, std::vector<std::string>{std::string(64, 'd')});
  EXPECT_NE(Status().message().find("bin/runc"), std::string::npos);
}

TEST_F(ControllerTest, K4_ProgramsThatAreNotCheckedAreSaidAlsoWhenTheirTreeIsOnRecord) {
  StartAndReady(ServerConfig());
  EXPECT_EQ(Status().message(), "");
  files_->tree = absl::FailedPreconditionError("extracted elsewhere");
  ASSERT_TRUE(controller_->Restart().ok());
  executor_.RunUntilIdle();
  supervisor_.Ready("k3s");
  executor_.Advance(absl::Seconds(3));
  ASSERT_EQ(Status().rung(), "nodeReady");
  EXPECT_EQ(Status().message(), "extracted elsewhere");
}

TEST_F(ControllerTest, TheNewestExecuteWins) {
  StartAndReady(ServerConfig());
  supervisor_.obeys_stop = false;
  v1::MachineConfig first = ServerConfig(), second = ServerConfig();
  first.mutable_k3s()->add_tls_sans("first");
  second.mutable_k3s()->add_tls_sans("second");
  absl::Status one = absl::UnknownError("not done"), two = one;
  controller_->Execute(&first, [&](absl::Status status) { one = status; });
  executor_.RunUntilIdle();
  controller_->Execute(&second, [&](absl::Status status) { two = status; });
  executor_.RunUntilIdle();
  supervisor_.Exit("k3s", 1);
  executor_.RunUntilIdle();
  EXPECT_TRUE(absl::IsCancelled(one)) << one;
  EXPECT_TRUE(two.ok()) << two;
  EXPECT_NE(vfs_.Read("etc/rancher/k3s/config.yaml")->find("second"), std::string::npos);
}

TEST_F(ControllerTest, S5_ABinaryOfAnotherReleaseIsRefusedBeforeAnythingIsTouched) {
  StartAndReady(ServerConfig());
  release_->result = api::Coded(absl::StatusCode::kFailedPrecondition, "wrong-k3s-release", "no");
  EXPECT_EQ(api::Reason(Prepare(ServerConfig())), "wrong-k3s-release");
  ASSERT_EQ(release_->asked.size(), 1u);
  EXPECT_EQ(release_->asked[0],
            absl::StrCat(ServerConfig().k3s().artifacts().amd64().sha256().substr(0, 4), " ",
                         ServerConfig().k3s().version()));
  EXPECT_TRUE(supervisor_.stopped().empty());
  // Bytes that are not there are not asked what they are.
  store_->ensure = absl::UnavailableError("offline");
  EXPECT_TRUE(absl::IsUnavailable(Prepare(ServerConfig())));
  EXPECT_EQ(release_->asked.size(), 1u);
}

TEST_F(ControllerTest, WaitsForAClockThatIsRight) {
  clock_.synced = false;
  v1::MachineConfig config = ServerConfig();
  EXPECT_TRUE(Execute(&config).ok());
  EXPECT_TRUE(supervisor_.started().empty());
  EXPECT_EQ(controller_->Observe()[0].code, "time-unsynced");
  clock_.synced = true;
  executor_.Advance(absl::Seconds(10));
  EXPECT_EQ(supervisor_.started().size(), 1u);
}

TEST_F(ControllerTest, T4_StartsWithAClockThatIsNotRightOnlyWhenThatIsAllowed) {
  clock_.synced = false;
  v1::MachineConfig config = ServerConfig();
  EXPECT_TRUE(Execute(&config).ok());
  executor_.Advance(absl::Minutes(10));
  EXPECT_TRUE(supervisor_.started().empty());
  EXPECT_EQ(controller_->Observe()[0].reason, "TimeUnverified");
  unsynced_allowed_ = true;
  executor_.Advance(absl::Seconds(10));
  EXPECT_EQ(supervisor_.started().size(), 1u);
}

TEST_F(ControllerTest, DownloadsReachTheOutsideAsTheSystemSectionSays) {
  v1::MachineConfig config = ServerConfig();
  config.mutable_system()->mutable_proxy()->set_https("http://proxy.example.org:3128");
  config.mutable_system()->add_ca_certificates()->set_certificate("PEM");
  EXPECT_TRUE(Prepare(config).ok());
  EXPECT_THAT(store_->environment,
              ::testing::IsSupersetOf({"https_proxy=http://proxy.example.org:3128",
                                       "no_proxy=localhost,127.0.0.0/8,::1",
                                       "SSL_CERT_FILE=/n/run/etc/ssl/certs/ca-certificates.crt"}));
}

TEST_F(ControllerTest, ARestartNeverStopsWhatCannotBeStartedAgain) {
  StartAndReady(ServerConfig());
  store_->open = api::Coded(absl::StatusCode::kDataLoss, "artifact-damaged", "other bytes");
  store_->ensure =
      api::Coded(absl::StatusCode::kUnavailable, "artifact-download-failed", "offline");
  EXPECT_TRUE(controller_->Restart().ok());
  executor_.RunUntilIdle();
  EXPECT_TRUE(supervisor_.stopped().empty());
  EXPECT_NE(Status().message().find("offline"), std::string::npos);
  store_->open = store_->ensure = absl::OkStatus();
  EXPECT_TRUE(controller_->Restart().ok());
  executor_.RunUntilIdle();
  EXPECT_EQ(supervisor_.started().size(), 2u);
}

TEST_F(ControllerTest, NothingRestartsK3sWhileAConfigIsBeingApplied) {
  StartAndReady(ServerConfig());
  supervisor_.obeys_stop = false;
  v1::MachineConfig config = ServerConfig();
  config.mutable_k3s()->add_tls_sans("other");
  controller_->Execute(&config, [](absl::Status) {});
  EXPECT_EQ(api::Reason(controller_->Restart()), "busy");
  supervisor_.Exit("k3s", 1);
  executor_.RunUntilIdle();
  EXPECT_TRUE(controller_->Restart().ok());
}

TEST_F(ControllerTest, WithoutK3sThereIsNothingToRestart) {
  EXPECT_EQ(api::Reason(controller_->Restart()), "no-k3s");
}

TEST_F(ControllerTest, GarbageIsWhatNoKeptGenerationNames) {
  StartAndReady(ServerConfig());
  v1::MachineConfig old = ServerConfig();
  old.mutable_k3s()->mutable_artifacts()->mutable_arm64()->set_sha256(std::string(64, 'b'));
  controller_->CollectGarbage({&old});
  EXPECT_EQ(store_->kept, (std::set<std::string>{std::string(64, 'a'), std::string(64, 'b')}));
  executor_.RunUntilIdle();
  ASSERT_EQ(files_->kept_trees.size(), 1u);
  EXPECT_EQ(files_->kept_trees[0], std::set<std::string>{std::string(64, 'd')})
      << "what a K3s that never got ready extracted goes as well";
}

TEST_F(ControllerTest, NoTreeIsRemovedWhileK3sMayBeMakingOne) {
  v1::MachineConfig config = ServerConfig();
  ASSERT_TRUE(Execute(&config).ok());
  controller_->CollectGarbage({&config});
  executor_.RunUntilIdle();
  EXPECT_TRUE(files_->kept_trees.empty());
}

TEST_F(ControllerTest, CertificatesThatEndSoonAreSaid) {
  probe_->result.certificates_end = clock_.Now() + absl::Hours(24 * 91);
  StartAndReady(ServerConfig());
  EXPECT_EQ(Status().message(), "");
  executor_.Advance(absl::Hours(25));
  EXPECT_NE(Status().message().find("certificates of K3s end on "), std::string::npos);
}

TEST_F(ControllerTest, AReleaseThatIsNotTheOneOfTheConfigIsSaid) {
  probe_->result.kubelet_version = "v1.30.4+k3s1";
  StartAndReady(ServerConfig());
  EXPECT_EQ(Status().message(), "");
  probe_->result.kubelet_version = "v1.21.2+k3s1";
  executor_.Advance(absl::Minutes(1));
  EXPECT_NE(Status().message().find("this is K3s v1.21.2+k3s1"), std::string::npos);
}

TEST_F(ControllerTest, T2_AClockSetForwardMakesNoReadyNodeUnready) {
  probe_->result.heartbeat = clock_.Now() + absl::Seconds(1);
  StartAndReady(ServerConfig());
  clock_.SetNow(clock_.Now() + absl::Hours(24 * 3650));
  executor_.Advance(absl::Minutes(2));
  EXPECT_EQ(Status().rung(), "nodeReady") << Status().message();
  EXPECT_EQ(supervisor_.started().size(), 1u);
}

}  // namespace
}  // namespace basalt::k3s
