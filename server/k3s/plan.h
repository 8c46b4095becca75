// The steps from one config to another, as `plan` shows them and Execute takes them. Pure.
#pragma once

#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
#include "server/engine/controller.h"
#include "server/k3s/guards.h"
#include "server/k3s/render.h"

namespace basalt::k3s {

// Both are resolved; `from` may be null. Errors: those of Render and of the guards. Values of
// secrets never appear, not even their lengths.
absl::StatusOr<engine::ControllerPlan> PlanK3s(const v1::MachineConfig* from,
                                               const v1::MachineConfig& to, const NodeFacts& facts,
                                               const MachineSize& machine);

}  // namespace basalt::k3s
