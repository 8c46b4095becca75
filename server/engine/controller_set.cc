#include "server/engine/controller_set.h"

#include <algorithm>
#include <utility>

#include "api/coded_status.h"
#include "server/engine/config_secrets.h"

namespace basalt::engine {

ControllerSet::ControllerSet(std::vector<Controller*> controllers)
    : controllers_(std::move(controllers)) {}

absl::StatusOr<ControllerPlan> ControllerSet::Plan(const v1::MachineConfig* from,
                                                   const v1::MachineConfig& to) const {
  ControllerPlan all;
  for (const Controller* controller : controllers_) {
    absl::StatusOr<ControllerPlan> plan = controller->Plan(from, to);
    if (!plan.ok()) return plan.status();
    all.steps.insert(all.steps.end(), plan->steps.begin(), plan->steps.end());
    all.warnings.insert(all.warnings.end(), plan->warnings.begin(), plan->warnings.end());
  }
  return all;
}

void ControllerSet::Prepare(ConfigPtr to, OnProgress progress, Done done) {
  CancelPrepare();
  if (absl::Status status = CheckOpened(to.get()); !status.ok()) return done(std::move(status));
  preparing_ = true;
  PrepareFrom(0, ++prepare_serial_, std::move(to), std::move(progress), std::move(done));
}

void ControllerSet::PrepareFrom(size_t index, uint64_t serial, ConfigPtr to, OnProgress progress,
                                Done done) {
  if (index == controllers_.size()) {
    preparing_ = false;
    done(absl::OkStatus());
    return;
  }
  const v1::MachineConfig& config = *to;
  controllers_[index]->Prepare(
      config,
      [this, serial, progress](const std::string& what, int64_t now, int64_t total) {
        if (preparing_ && serial == prepare_serial_) progress(what, now, total);
      },
      [this, index, serial, to, progress, done](absl::Status status) {
        if (!preparing_ || serial != prepare_serial_) return;  // cancelled
        if (!status.ok()) {
          preparing_ = false;
          done(status);
          return;
        }
        PrepareFrom(index + 1, serial, to, progress, done);
      });
}

void ControllerSet::CancelPrepare() {
  if (!preparing_) return;
  preparing_ = false;
  for (Controller* controller : controllers_) controller->CancelPrepare();
}

void ControllerSet::Execute(ConfigPtr to, Done done) {
  constexpr size_t kRemembered = 8;  // more than the ring of an output outlives
  if (to != nullptr && (executed_.empty() || executed_.back() != to)) {
    executed_.push_back(to);
    if (executed_.size() > kRemembered) executed_.pop_front();
  }
  executes_.push_back({std::move(to), std::move(done)});
  if (!executing_) RunNextExecute();
}

void ControllerSet::RunNextExecute() {
  if (executes_.empty()) return;
  executing_ = true;
  if (absl::Status status = CheckOpened(executes_.front().to.get()); !status.ok()) {
    FinishExecute(std::move(status));
    return;
  }
  ExecuteFrom(0);
}

void ControllerSet::FinishExecute(absl::Status status) {
  Job job = std::move(executes_.front());
  executes_.pop_front();
  executing_ = false;
  job.done(std::move(status));
  if (!executing_) RunNextExecute();
}

void ControllerSet::ExecuteFrom(size_t index) {
  if (index == controllers_.size()) {
    FinishExecute(absl::OkStatus());
    return;
  }
  controllers_[index]->Execute(executes_.front().to.get(), [this, index](absl::Status status) {
    if (!status.ok()) {
      FinishExecute(std::move(status));
      return;
    }
    ExecuteFrom(index + 1);
  });
}

bool ControllerSet::WantsReboot() const {
  return std::any_of(controllers_.begin(), controllers_.end(),
                     [](const Controller* controller) { return controller->WantsReboot(); });
}

void ControllerSet::Erase(Done done) { EraseFrom(0, std::move(done)); }

void ControllerSet::EraseFrom(size_t index, Done done) {
  if (index == controllers_.size()) return done(absl::OkStatus());
  controllers_[index]->Erase([this, index, done = std::move(done)](absl::Status status) {
    if (!status.ok()) return done(std::move(status));
    EraseFrom(index + 1, done);
  });
}

std::vector<Condition> ControllerSet::Observe() const {
  std::vector<Condition> all;
  for (const Controller* controller : controllers_) {
    std::vector<Condition> some = controller->Observe();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

std::vector<Condition> ControllerSet::Alarms() const {
  std::vector<Condition> all;
  for (const Controller* controller : controllers_) {
    std::vector<Condition> some = controller->Alarms();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

absl::Duration ControllerSet::Deadline(const v1::MachineConfig& to,
                                       const std::string& condition) const {
  for (const Controller* controller : controllers_) {
    for (const Condition& observed : controller->Observe()) {
      if (observed.type == condition) return controller->Deadline(to, condition);
    }
  }
  return absl::ZeroDuration();
}

std::vector<v1::Resource> ControllerSet::Resources() const {
  std::vector<v1::Resource> all;
  for (const Controller* controller : controllers_) {
    for (v1::Resource& resource : controller->Resources()) all.push_back(std::move(resource));
  }
  return all;
}

void ControllerSet::CollectGarbage(const std::vector<ConfigPtr>& kept) {
  std::vector<const v1::MachineConfig*> configs;
  for (const ConfigPtr& config : kept) {
    if (config != nullptr) configs.push_back(config.get());
  }
  for (Controller* controller : controllers_) controller->CollectGarbage(configs);
}

void ControllerSet::SetOnChange(const std::function<void()>& on_change) {
  for (Controller* controller : controllers_) controller->SetOnChange(on_change);
}

}  // namespace basalt::engine
