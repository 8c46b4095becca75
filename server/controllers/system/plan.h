// The steps from one config to another, as `plan` shows them, and what this node does not carry
// out: each field has its own reason. Pure.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "basalt/v1/machine_config.pb.h"
#include "server/controllers/system/kernel_plan.h"
#include "server/engine/controller.h"

namespace basalt::system {

// Both are resolved; `from` may be null. Errors: those of PlanKernel, and "no-watchdog".
absl::StatusOr<engine::ControllerPlan> PlanSystem(const v1::MachineConfig* from,
                                                  const v1::MachineConfig& to,
                                                  const KernelFacts& facts);

// What noded-init arms the watchdog with where the config says nothing is a minute.
absl::Duration WatchdogTimeout(const v1::System& system);

}  // namespace basalt::system
