// The controller: one Execute at a time, the newest wins. See README.md for the order of its steps.
// Everything on the loop thread; what blocks goes to the pool and owns what it needs.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/k3s/health.h"
#include "server/k3s/k3s_parts.h"
#include "server/k3s/render.h"

namespace basalt::k3s {

inline constexpr char kService[] = "k3s";
inline constexpr char kOwnedLabelsPath[] = "state/k3s-labels";
inline constexpr char kTreesDir[] = "state/k3s-trees";

class ControllerImpl : public K3sController {
 public:
  ControllerImpl(const K3sDeps& deps, K3sParts parts);
  ~ControllerImpl() override;

  std::string name() const override { return "k3s"; }
  absl::StatusOr<engine::ControllerPlan> Plan(const v1::MachineConfig* from,
                                              const v1::MachineConfig& to) const override;
  void Prepare(const v1::MachineConfig& to, engine::OnProgress progress,
               engine::Done done) override;
  void CancelPrepare() override;
  void Execute(const v1::MachineConfig* to, engine::Done done) override;
  void Erase(engine::Done done) override;
  std::vector<engine::Condition> Observe() const override;
  absl::Duration Deadline(const v1::MachineConfig& to, const std::string& condition) const override;
  void SetOnChange(std::function<void()> on_change) override { on_change_ = std::move(on_change); }
  std::vector<v1::Resource> Resources() const override;
  void CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) override;

  void OnServiceEvent(const host::ServiceEvent& event) override;
  absl::StatusOr<std::string> Kubeconfig(absl::Duration validity) override;
  absl::Status Restart() override;

 private:
  using Next = std::function<void(absl::Status)>;
  struct Wanted {
    std::string what;
    v1::Artifact artifact;
  };

  // It has not ended for good: its ports and files are its own still.
  static bool Alive(host::ServiceState state);
  // The environment of a download: what the config says of the way outside (`system`, and what it
  // gives K3s for its own), and what noded was started with. curl reads the lower-case names.
  std::vector<std::string> Outside(const v1::MachineConfig& config) const;
  NodeFacts Facts() const;
  ProbeTarget Target() const;
  std::optional<host::ServiceStatus> FindService() const;
  std::string Abs(const std::string& path) const { return deps_.vfs.Absolute(path); }

  // Steps of Prepare and Execute. Each runs `next` unless a newer Execute has begun.
  absl::StatusOr<std::vector<Wanted>> WantedArtifacts(const v1::MachineConfig& to) const;
  void EnsureAll(std::deque<Wanted> rest, std::vector<std::string> proxies,
                 engine::OnProgress progress, Next next);
  void CheckDisk(const v1::MachineConfig& to, Next next);
  absl::Status CheckPorts(const v1::MachineConfig& to) const;
  absl::Status WriteFiles(const Rendered& rendered);
  absl::Status WriteManifests(const Rendered& rendered);
  void StopThen(uint64_t epoch, Next next);
  void CleanUp(uint64_t epoch, Next next);
  void SweepRules(Next next);
  void CheckTree(uint64_t epoch, Next next);
  void LinkImages(uint64_t epoch, Next next);
  void Launch(uint64_t epoch, Next next);
  void Run(uint64_t epoch, Rendered rendered, engine::Done done);
  void AwaitClock(uint64_t epoch);
  void RestartEnded(uint64_t epoch, absl::Status status);
  engine::Done Busy(engine::Done done);
  void FullStop(uint64_t epoch, engine::Done done);
  Next Guarded(uint64_t epoch, engine::Done done, std::function<void()> next);

  // Watching.
  void Refresh();  // from the supervisor's list
  void ScheduleProbe(absl::Duration delay);
  void RunProbe();
  void ReadOutput();
  void AfterProbe();
  void ReconcileLabels();
  void RecordTree();
  void Changed();

  K3sDeps deps_;
  K3sParts parts_;
  std::function<void()> on_change_;

  uint64_t epoch_ = 0;                       // rises with every Execute and Restart
  uint64_t prepare_epoch_ = 0;               // rises with every Prepare and cancel
  std::optional<v1::MachineConfig> config_;  // what Execute was last told; secrets opened
  Rendered rendered_;
  std::vector<std::string> secrets_;
  HealthLimits limits_;
  Health health_;
  uint64_t output_start_ = 0;  // offset of the output when this run began
  Next stop_waiter_;
  uint64_t stop_epoch_ = 0;

  engine::Executor::TimerId probe_timer_ = 0;
  bool probing_ = false;
  bool labels_busy_ = false;
  std::string labels_refused_;  // message; until the config changes
  bool tree_recorded_ = false;
  std::string tree_note_;   // what CheckTree found and mended
  std::string rules_note_;  // what the last full stop could not sweep
  int liveness_restarts_ = 0;
  int busy_ = 0;                 // Executes under way: nothing else may restart K3s meanwhile
  bool preparing_ = false;       // the store works for Prepare
  bool awaiting_clock_ = false;  // everything is made but the start
  std::string restart_note_;     // why a restart did not come about
  std::vector<engine::Condition> last_conditions_;
  std::string last_rung_;
};

}  // namespace basalt::k3s
