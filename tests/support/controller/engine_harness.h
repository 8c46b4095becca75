// A node's engine without a node: real signatures, real journal, fake disk, clock and world. Each
// Start is another life of noded; the disk, the world and the clock go on. Single-threaded.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "machineconfig/sign/document.h"
#include "machineconfig/sign/keys.h"
#include "server/engine/node.h"
#include "tests/support/clock/fake_clock.h"
#include "tests/support/controller/fake_controller.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/supervisor/fake_supervisor.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt::testing {

class RecordingWatcher : public engine::ApplyWatcher {
 public:
  void OnEvent(const v1::ApplyEvent& event) override { events.push_back(event); }
  void OnError(const absl::Status& status) override { error = status; }
  bool over() const { return !error.ok() || (!events.empty() && events.back().final()); }
  const v1::ApplyEvent& last() const {  // an empty one before the first
    static const v1::ApplyEvent none;
    return events.empty() ? none : events.back();
  }
  bool Saw(v1::ApplyState state) const;

  std::vector<v1::ApplyEvent> events;
  absl::Status error;
};

struct ConfigOptions {
  int64_t generation = 1;
  std::string version = "v1.30.4+k3s1";
  std::string extra_metadata;  // lines below `metadata:`, two spaces of indentation
  std::string api;             // lines below `api:`
  std::string sections;        // whole sections: "network:\n  ...\n"
  std::string machine_id;      // default: this node's
  std::string token = "0123456789abcdef-server";  // as it stands behind `token: `
};

class EngineHarness {
 public:
  // `policy`: more lines of the trust policy.
  explicit EngineHarness(const std::string& policy = "");
  ~EngineHarness();

  // Another life of noded: the old one is gone without a word.
  absl::Status Start();
  // The node alone, not started, on an executor of the caller's: with real threads.
  absl::Status Make(engine::Executor& on);
  void Kill();
  void Reboot();  // a new boot, nothing lost that was written
  void PowerCut(CutMode mode, uint64_t seed);

  std::string Yaml(const ConfigOptions& options);
  v1::SignedDocument Sign(const ConfigOptions& options);
  v1::SignedDocument SignText(v1::DocumentType type, const std::string& text,
                              const sign::PrivateKey& key) const;
  std::shared_ptr<RecordingWatcher> Apply(const v1::SignedDocument& document,
                                          v1::ApplyRequest options = {});
  std::shared_ptr<RecordingWatcher> Apply(const ConfigOptions& options) {
    return Apply(Sign(options));
  }
  int64_t ActiveGeneration() const;  // 0: none
  v1::ConfigStatus ConfigStatus() const;
  const trust::SealingKey& sealing() const { return *sealing_; }  // of the present life
  v1::MachineStatus MachineStatus() const;
  bool HasCondition(const std::string& type) const;

  FakeClock clock;
  FakeRandom random;
  FakeVfs vfs;
  FakeWorld world;
  sign::PrivateKey root_key;
  sign::PrivateKey config_key;
  engine::Caller operator_caller;
  // Of the present life.
  std::unique_ptr<ManualExecutor> executor;
  std::unique_ptr<FakeSupervisor> supervisor;
  std::unique_ptr<FakeController> controller;
  std::unique_ptr<engine::Node> node;
  std::vector<engine::ApiPolicy> policies;  // as they were set
  // Of every life: a machine, where the test wants another than a sandbox, and what else a node is
  // made of.
  std::unique_ptr<host::Platform> platform;
  std::function<void(engine::NodeDeps&)> adjust = [](engine::NodeDeps&) {};
  // For the controller of the next life.
  bool hold_execute = false;
  std::vector<absl::Status> execute_results;

 private:
  std::optional<trust::Identity> identity_;
  std::optional<trust::SealingKey> sealing_;
  std::optional<trust::TrustStore> trust_;
  std::string seed_;
};

}  // namespace basalt::testing
