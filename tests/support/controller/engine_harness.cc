#include "tests/support/controller/engine_harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/sign/policy.h"

namespace basalt::testing {
namespace {

std::string Indent(const std::string& text) {
  return absl::StrCat("      ", absl::StrReplaceAll(text, {{"\n", "\n      "}}));
}

}  // namespace

bool RecordingWatcher::Saw(v1::ApplyState state) const {
  return std::any_of(events.begin(), events.end(),
                     [&](const v1::ApplyEvent& event) { return event.state() == state; });
}

EngineHarness::EngineHarness(const std::string& policy_lines)
    : root_key(sign::PrivateKey::GenerateEd25519()),
      config_key(sign::PrivateKey::GenerateEd25519()) {
  std::string policy = absl::StrCat(
      "apiVersion: basalt/v1\nkind: TrustPolicy\ncluster: home\nepoch: 1\nversion: 1\nkeys:\n"
      "  - name: root\n    publicKey: |\n",
      Indent(root_key.public_key().Pem()), "\n  - name: config\n    publicKey: |\n",
      Indent(config_key.public_key().Pem()),
      "\nroot:\n  keys: [root]\ngrants:\n  - for: machineconfig\n    keys: [config]\n"
      "  - for: action\n    keys: [config]\n",
      policy_lines);
  v1::TrustChain chain;
  *chain.add_policies() = SignText(v1::DOCUMENT_TYPE_TRUST_POLICY, policy, root_key);
  seed_ = sign::ChainToJson(chain);
  platform = host::MakeSandbox({.root = "/fake", .k3s_address = "127.0.0.1"});
  operator_caller.authenticated = true;
  operator_caller.name = "alice";
  operator_caller.peer = "127.0.0.1:1000";
  operator_caller.connection = 1;
  operator_caller.roles = {v1::ROLE_DELIVER, v1::ROLE_READER, v1::ROLE_OPERATOR, v1::ROLE_ADMIN};
}

EngineHarness::~EngineHarness() { Kill(); }

void EngineHarness::Kill() {
  node.reset();
  controller.reset();
  executor.reset();
  supervisor.reset();
}

void EngineHarness::Reboot() {
  Kill();
  clock.Reboot();
  world.running.clear();
}

void EngineHarness::PowerCut(CutMode mode, uint64_t seed) {
  Reboot();
  vfs.CutPower(mode, seed);
}

absl::Status EngineHarness::Start() {
  Kill();
  executor = std::make_unique<ManualExecutor>(clock);
  if (absl::Status status = Make(*executor); !status.ok()) return status;
  absl::Status status = node->Start();
  if (status.ok()) executor->RunUntilIdle();
  return status;
}

absl::Status EngineHarness::Make(engine::Executor& on) {
  supervisor = std::make_unique<FakeSupervisor>(clock);
  controller = std::make_unique<FakeController>(world);
  controller->hold_execute = hold_execute;
  controller->execute_results = std::exchange(execute_results, {});
  if (absl::Status status = vfs.MakeDirs("state"); !status.ok()) return status;
  auto trust = trust::TrustStore::Load(vfs, seed_);
  if (!trust.ok()) return trust.status();
  trust_.emplace(*std::move(trust));
  auto identity = trust::Identity::Load(vfs, clock);
  if (!identity.ok()) return identity.status();
  identity_.emplace(*std::move(identity));
  auto sealing = trust::SealingKey::Load(vfs, *identity_);
  if (!sealing.ok()) return sealing.status();
  sealing_.emplace(*std::move(sealing));
  engine::NodeDeps deps = {
      .executor = on,
      .vfs = vfs,
      .clock = clock,
      .random = random,
      .platform = *platform,
      .supervisor = *supervisor,
      .identity = *identity_,
      .sealing = *sealing_,
      .trust = *trust_,
      .controllers = {controller.get()},
      .version = "0.1.0",
      .build_time = clock.Now() - absl::Hours(24),
      .set_api_policy =
          [this](const engine::ApiPolicy& policy) {
            policies.push_back(policy);
            return absl::OkStatus();
          },
      .endpoints = [] { return std::vector<std::string>{"127.0.0.1:1"}; },
      .endpoints_with =
          [](const v1::MachineConfig&) { return std::vector<std::string>{"127.0.0.1:2"}; },
      .kubeconfig = [](absl::Duration) -> absl::StatusOr<std::string> { return "k"; },
      .restart_service = [](const std::string&) { return absl::OkStatus(); },
      .roll_back_image = nullptr};
  adjust(deps);
  node = engine::MakeNode(std::move(deps));
  return absl::OkStatus();
}

std::string EngineHarness::Yaml(const ConfigOptions& options) {
  std::string machine = options.machine_id.empty() ? identity_->machine_id() : options.machine_id;
  return absl::StrCat(
      "apiVersion: basalt/v1\nkind: MachineConfig\nmetadata:\n  cluster: home\n  name: n1\n"
      "  epoch: 1\n  generation: ",
      options.generation,
      "\n  signedAt: ", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", clock.Now(), absl::UTCTimeZone()),
      "\n", options.extra_metadata, "target:\n  machineId: ", machine, "\n", options.sections,
      options.api.empty() ? "" : absl::StrCat("api:\n", options.api),
      "k3s:\n  role: server\n  version: ", options.version,
      "\n  artifacts:\n    amd64:\n      urls: [\"https://example.com/k3s\"]\n      sha256: ",
      std::string(64, 'a'), "\n  token: ", options.token, "\n");
}

v1::SignedDocument EngineHarness::SignText(v1::DocumentType type, const std::string& text,
                                           const sign::PrivateKey& key) const {
  return sign::Sign(type, text, {&key});
}

v1::SignedDocument EngineHarness::Sign(const ConfigOptions& options) {
  return SignText(v1::DOCUMENT_TYPE_MACHINE_CONFIG, Yaml(options), config_key);
}

std::shared_ptr<RecordingWatcher> EngineHarness::Apply(const v1::SignedDocument& document,
                                                       v1::ApplyRequest options) {
  auto watcher = std::make_shared<RecordingWatcher>();
  *options.mutable_document() = document;
  node->Apply(operator_caller, std::move(options), watcher);
  executor->RunUntilIdle();
  return watcher;
}

v1::ConfigStatus EngineHarness::ConfigStatus() const {
  v1::GetRequest request;
  request.set_kind("ConfigStatus");
  request.set_name("config");
  return node->Get(request)->resource().config_status();
}

v1::MachineStatus EngineHarness::MachineStatus() const {
  v1::GetRequest request;
  request.set_kind("MachineStatus");
  request.set_name("machine");
  return node->Get(request)->resource().machine_status();
}

int64_t EngineHarness::ActiveGeneration() const { return ConfigStatus().generation(); }

bool EngineHarness::HasCondition(const std::string& type) const {
  const v1::MachineStatus status = MachineStatus();
  for (const v1::Condition& condition : status.conditions()) {
    if (condition.type() == type) return true;
  }
  return false;
}

}  // namespace basalt::testing
