// A domain of the node that a config says something about: k3s now; network, storage, system with
// the image. The engine knows controllers only by this interface; it never looks into a section
// itself. All calls and callbacks on the loop thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/options.pb.h"
#include "basalt/v1/resource.pb.h"

namespace basalt::engine {

// One thing that will be done, as the plan shows it.
struct PlanStep {
  std::string controller;
  std::string description;  // "restart K3s with a new configuration"
  v1::Effect effect = v1::EFFECT_NONE;
  std::string unimplemented;  // why this platform cannot; the apply is then refused
  bool operator==(const PlanStep&) const = default;
};

struct ControllerPlan {
  std::vector<PlanStep> steps;
  std::vector<std::string> warnings;  // guards
};

// Observed, not assumed. A condition that held in the baseline and fails after an execute reverts
// the apply; one that did not hold before is awaited to its deadline.
struct Condition {
  std::string type;  // "K3sRunning", "K3sReady", "NodeReady"
  bool holds = false;
  std::string reason;   // CamelCase
  std::string message;  // redacted
  std::string
      code;  // lower-kebab error code when it does not hold: "k3s-exited", "join-token-rejected"
  bool hopeless =
      false;  // no use in waiting for the deadline (it exits at once, the token is refused)
  bool operator==(const Condition&) const = default;
};

using Done = std::function<void(absl::Status)>;
using OnProgress = std::function<void(const std::string& what, int64_t done, int64_t total)>;

class Controller {
 public:
  virtual ~Controller() = default;
  virtual std::string name() const = 0;

  // Pure. Configs are resolved; `from` is null when nothing is committed. Errors: guards that are
  // not overridden (FailedPrecondition with a reason code).
  virtual absl::StatusOr<ControllerPlan> Plan(const v1::MachineConfig* from,
                                              const v1::MachineConfig& to) const = 0;
  // Everything that can fail before the node changes: downloads, digests, extraction, disk space.
  // Changes nothing that runs. May be called again after a crash.
  virtual void Prepare(const v1::MachineConfig& to, OnProgress progress, Done done) = 0;
  virtual void CancelPrepare() = 0;
  // Makes the node as `to` says; idempotent; `to` null: as if there were no config. Done means that
  // the change has been made, not that it is healthy. Called on start with the committed config
  // too.
  virtual void Execute(const v1::MachineConfig* to, Done done) = 0;

  // What the last Execute did takes effect with the next boot only: the way back restarts the
  // machine then, and goes on after it.
  virtual bool WantsReboot() const { return false; }

  // After an Execute without a config: removes what it keeps on disk, for a reset. May be repeated
  // after a crash.
  virtual void Erase(Done done) = 0;

  // Conditions that the config asks for, as they are now.
  virtual std::vector<Condition> Observe() const = 0;
  // What a person should know of but no apply is judged by: a capture that runs, logs that nobody
  // takes. `holds` is true of each. Shown in status; a node with one is no less ready.
  virtual std::vector<Condition> Alarms() const { return {}; }
  // How long after Execute a condition may take: k3s.health.
  virtual absl::Duration Deadline(const v1::MachineConfig& to,
                                  const std::string& condition) const = 0;
  // Called on the loop whenever Observe() may have changed.
  virtual void SetOnChange(std::function<void()> on_change) = 0;
  // This controller's resources, as they are now.
  virtual std::vector<v1::Resource> Resources() const = 0;
  // Deletes what no generation in `kept` refers to any more (artifacts).
  virtual void CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) = 0;
};

}  // namespace basalt::engine
