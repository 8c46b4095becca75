// From the section `system.logs` to what is done. Pure.
#pragma once

#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
#include "server/engine/controller.h"
#include "server/logs/record.h"

namespace basalt::logs {

// InvalidArgument "bad-sink": what cannot be sent to.
absl::StatusOr<ShipSpec> ShipSpecOf(const v1::MachineConfig& config);
engine::ControllerPlan PlanLogs(const v1::MachineConfig* from, const v1::MachineConfig& to);

}  // namespace basalt::logs
