#include "tests/component/k3s/sandbox_node.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/schema/resolve.h"
#include "server/host/clock.h"

namespace basalt::testing {
namespace {

constexpr std::chrono::seconds kDeadline(60);

// Nodes of one machine, and test programs that run side by side, each have an address.
std::string NextAddress() {
  static int count = 0;
  int pid = getpid();
  return absl::StrCat("127.", 64 + pid / 250 / 250 % 64, ".", pid / 250 % 250 + 1, ".",
                      (pid + count++ * 61) % 250 + 1);
}

}  // namespace

std::string FileDigest(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return Sha256(std::string(std::istreambuf_iterator<char>(in), {})).Hex();
}

SandboxNode::SandboxNode(const std::string& name, bool own_namespaces)
    : name_(name), address_(NextAddress()) {
  signal(SIGPIPE, SIG_IGN);  // as noded does: a peer may close while TLS writes
  char pattern[] = "/tmp/basalt-k3s-XXXXXX";
  root_ = mkdtemp(pattern);
  noded_ = init_.AwaitNoded();
  auto supervisor = host::ConnectSupervisor(std::move(noded_.channel));
  EXPECT_TRUE(supervisor.ok()) << supervisor.status().ToString();
  supervisor_ = std::move(*supervisor);
  vfs_ = std::move(*host::OpenVfs(root_));
  for (const char* dir : {"state", "data", "run", "etc"}) EXPECT_TRUE(vfs_->MakeDirs(dir).ok());
  platform_ =
      host::MakeSandbox({.root = root_, .k3s_address = address_, .own_namespaces = own_namespaces});
  Start();
}

void SandboxNode::Start() {
  executor_ = std::move(*engine::MakeRealExecutor());
  MakeController();
  executor_->WatchFd(supervisor_->event_fd(), [this] {
    supervisor_->DrainWakeups();
    Pump();
  });
  executor_->Post([this] { Pump(); });
  loop_ = std::thread([this] { executor_->Run(); });
}

void SandboxNode::Stop() {
  executor_->Stop();
  loop_.join();
  controller_.reset();
  executor_.reset();
}

SandboxNode::~SandboxNode() {
  EXPECT_TRUE(Execute(nullptr).ok());
  Stop();
  supervisor_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

void SandboxNode::MakeController() {
  controller_ = k3s::MakeK3sController({.executor = *executor_,
                                        .vfs = *vfs_,
                                        .clock = host::RealClock(),
                                        .random = host::RealRandom(),
                                        .platform = *platform_,
                                        .supervisor = *supervisor_,
                                        .fetch_program = NODED_FETCH});
  controller_->SetOnChange([this] {
    std::lock_guard<std::mutex> lock(mutex_);
    ++changes_;
    changed_.notify_all();
  });
}

void SandboxNode::Pump() {
  auto events = supervisor_->Events(last_seq_);
  if (!events.ok()) return;
  for (const host::ServiceEvent& event : *events) {
    last_seq_ = event.seq;
    controller_->OnServiceEvent(event);
  }
}

void SandboxNode::OnLoop(const std::function<void()>& fn) {
  (void)Wait([&fn](engine::Done done) {
    fn();
    done(absl::OkStatus());
  });
}

absl::Status SandboxNode::Wait(const std::function<void(engine::Done)>& begin) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<absl::Status> status;
  };
  auto shared = std::make_shared<Shared>();
  executor_->Post([begin, shared] {
    begin([shared](absl::Status status) {
      std::lock_guard<std::mutex> lock(shared->mutex);
      shared->status = std::move(status);
      shared->ready.notify_all();
    });
  });
  std::unique_lock<std::mutex> lock(shared->mutex);
  if (!shared->ready.wait_for(lock, kDeadline, [&] { return shared->status.has_value(); })) {
    return absl::DeadlineExceededError("nothing came of it within a minute");
  }
  return *shared->status;
}

v1::MachineConfig SandboxNode::Config(v1::K3sRole role) const {
  v1::MachineConfig config;
  config.set_api_version("basalt/v1");
  config.set_kind("MachineConfig");
  config.mutable_metadata()->set_cluster("home");
  config.mutable_metadata()->set_name(name_);
  v1::K3s& k3s = *config.mutable_k3s();
  k3s.set_role(role);
  k3s.set_version("v1.30.4+k3s1");
  for (v1::Artifact* artifact :
       {k3s.mutable_artifacts()->mutable_amd64(), k3s.mutable_artifacts()->mutable_arm64()}) {
    artifact->add_urls(absl::StrCat("file://", K3S_DOUBLE));
    artifact->set_sha256(FileDigest(K3S_DOUBLE));
  }
  k3s.mutable_agent_token()->set_plain("agent-token-0123456789");
  if (role == v1::K3S_ROLE_SERVER) k3s.mutable_token()->set_plain("server-token-0123456789");
  k3s.mutable_node_password()->set_plain(absl::StrCat("password-of-", name_));
  k3s.mutable_health()->set_liveness("3s");
  for (const auto& [variable, value] : std::vector<std::pair<std::string, std::string>>{
           {"BASALT_DOUBLE_STARTUP_MS", "50"}, {"BASALT_DOUBLE_RETRY_MS", "200"}}) {
    v1::EnvVar* env = k3s.add_env();
    env->set_name(variable);
    env->set_value(value);
  }
  return schema::Resolve(config);
}

absl::Status SandboxNode::Prepare(const v1::MachineConfig& to) {
  return Wait(
      [this, to](engine::Done done) { controller_->Prepare(to, nullptr, std::move(done)); });
}

absl::Status SandboxNode::Execute(const v1::MachineConfig* to) {
  std::shared_ptr<v1::MachineConfig> copy =
      to == nullptr ? nullptr : std::make_shared<v1::MachineConfig>(*to);
  return Wait(
      [this, copy](engine::Done done) { controller_->Execute(copy.get(), std::move(done)); });
}

absl::Status SandboxNode::Restart() {
  absl::Status status;
  OnLoop([&] { status = controller_->Restart(); });
  return status;
}

absl::StatusOr<std::string> SandboxNode::Kubeconfig() {
  absl::StatusOr<std::string> text = absl::UnknownError("not asked");
  OnLoop([&] { text = controller_->Kubeconfig(absl::Hours(8)); });
  return text;
}

v1::K3sStatus SandboxNode::Status() {
  v1::K3sStatus status;
  OnLoop([&] {
    for (const v1::Resource& resource : controller_->Resources()) status = resource.k3s_status();
  });
  return status;
}

std::vector<engine::Condition> SandboxNode::Conditions() {
  std::vector<engine::Condition> conditions;
  OnLoop([&] { conditions = controller_->Observe(); });
  return conditions;
}

bool SandboxNode::Await(const std::function<bool(const v1::K3sStatus&,
                                                 const std::vector<engine::Condition>&)>& wanted) {
  auto end = std::chrono::steady_clock::now() + kDeadline;
  for (;;) {
    uint64_t seen;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      seen = changes_;
    }
    if (wanted(Status(), Conditions())) return true;
    std::unique_lock<std::mutex> lock(mutex_);
    if (!changed_.wait_until(lock, end, [&] { return changes_ != seen; })) return false;
  }
}

bool SandboxNode::AwaitReady() {
  return Await([](const v1::K3sStatus& status, const auto&) { return status.ready(); });
}

std::string SandboxNode::AwaitCode(const std::string& type, const std::string& code) {
  std::string last;
  Await([&](const v1::K3sStatus&, const std::vector<engine::Condition>& conditions) {
    for (const engine::Condition& condition : conditions) {
      if (condition.type == type) last = condition.code;
    }
    return last == code;
  });
  return last;
}

void SandboxNode::ReplaceController() {
  Stop();
  last_seq_ = 0;
  Start();
}

}  // namespace basalt::testing
