// All controllers as one: plans together, prepares and executes one after the other, and never two
// executes at a time. Loop thread only.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/engine/controller.h"

namespace basalt::engine {

using ConfigPtr = std::shared_ptr<const v1::MachineConfig>;

class ControllerSet {
 public:
  explicit ControllerSet(std::vector<Controller*> controllers);

  absl::StatusOr<ControllerPlan> Plan(const v1::MachineConfig* from,
                                      const v1::MachineConfig& to) const;
  // One at a time. After CancelPrepare `done` of that prepare is not called. A config of which
  // secrets are sealed still is given to no controller: "secrets-not-opened", as in Execute.
  void Prepare(ConfigPtr to, OnProgress progress, Done done);
  void CancelPrepare();
  // Null: as if there were no config. Waits for an execute that is under way; stops at the first
  // controller that fails.
  void Execute(ConfigPtr to, Done done);

  bool WantsReboot() const;

  // Of each controller in turn; stops at the first that fails.
  void Erase(Done done);

  // What was made true lately, the newest last: services may have written of its secrets.
  const std::deque<ConfigPtr>& executed() const { return executed_; }

  std::vector<Condition> Observe() const;
  std::vector<Condition> Alarms() const;
  absl::Duration Deadline(const v1::MachineConfig& to, const std::string& condition) const;
  std::vector<v1::Resource> Resources() const;
  void CollectGarbage(const std::vector<ConfigPtr>& kept);
  void SetOnChange(const std::function<void()>& on_change);

 private:
  struct Job {
    ConfigPtr to;
    Done done;
  };
  void PrepareFrom(size_t index, uint64_t serial, ConfigPtr to, OnProgress progress, Done done);
  void RunNextExecute();
  void ExecuteFrom(size_t index);
  void FinishExecute(absl::Status status);
  void EraseFrom(size_t index, Done done);

  std::vector<Controller*> controllers_;
  uint64_t prepare_serial_ = 0;
  bool preparing_ = false;
  std::deque<Job> executes_;  // the front one runs
  bool executing_ = false;
  std::deque<ConfigPtr> executed_;
};

}  // namespace basalt::engine
