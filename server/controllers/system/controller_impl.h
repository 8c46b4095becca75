// The controller: a list of parts, each made as the config says in one turn of the loop. Nothing
// here waits: what takes time (a clock) is a condition.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "server/controllers/system/also_watch.h"
#include "server/controllers/system/console.h"
#include "server/controllers/system/kernel_state.h"
#include "server/controllers/system/system_controller.h"
#include "server/controllers/system/time_keeper.h"
#include "server/controllers/system/windows.h"

namespace basalt::system {

inline constexpr char kHostNameFile[] = "run/etc/hostname";
inline constexpr char kNoName[] = "localhost";  // of a machine without a config

class ControllerImpl : public SystemController {
 public:
  static constexpr absl::Duration kLookUnsettled = absl::Seconds(2);
  static constexpr absl::Duration kLookAtRest = absl::Seconds(30);

  explicit ControllerImpl(const SystemDeps& deps);
  ~ControllerImpl() override;

  std::string name() const override { return kName; }
  absl::StatusOr<engine::ControllerPlan> Plan(const v1::MachineConfig* from,
                                              const v1::MachineConfig& to) const override;
  void Prepare(const v1::MachineConfig& to, engine::OnProgress progress,
               engine::Done done) override;
  void CancelPrepare() override {}
  void Execute(const v1::MachineConfig* to, engine::Done done) override;
  void Erase(engine::Done done) override;
  std::vector<engine::Condition> Observe() const override;
  std::vector<engine::Condition> Alarms() const override;
  absl::Duration Deadline(const v1::MachineConfig& to, const std::string& condition) const override;
  void SetOnChange(std::function<void()> on_change) override { on_change_ = std::move(on_change); }
  std::vector<v1::Resource> Resources() const override;
  void CollectGarbage(const std::vector<const v1::MachineConfig*>&) override {}

  void Start(std::function<ConsoleFacts()> facts) override;
  void OnServiceEvent(const host::ServiceEvent& event) override;
  bool UnsyncedAllowed() const override { return time_.UnsyncedAllowed(); }
  bool MayFeed() const override { return also_.MayFeed(); }

 private:
  absl::Status Apply(const v1::MachineConfig* to);
  absl::Status ApplyHostName(const v1::MachineConfig* to);
  absl::Status ApplyAuthorities(const v1::System& to);
  void ApplyWatchdog(const v1::System& to);
  void Look();
  void Maintain();
  std::optional<Window> MaintenanceWindow() const;  // while the time is known
  void Publish();  // says so when something is otherwise than it was said to be

  SystemDeps deps_;
  KernelState kernel_;
  TimeKeeper time_;
  ConsoleKeeper console_;
  AlsoWatch also_;
  std::function<void()> on_change_;
  std::function<ConsoleFacts()> facts_;
  std::optional<v1::MachineConfig> config_;  // what Execute was last told
  std::optional<Fault> watchdog_fault_;
  bool told_ = false;  // Execute was called, with or without a config
  engine::Executor::TimerId timer_ = 0;
  FoundSettings found_;  // as of the last look
  std::vector<engine::Condition> last_conditions_;
  std::vector<engine::Condition> last_alarms_;
  std::string last_status_;
};

}  // namespace basalt::system
