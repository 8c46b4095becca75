// The steps from one config to another, as `plan` shows them. Pure.
#pragma once

#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
#include "server/controllers/storage/facts.h"
#include "server/controllers/storage/volume_plan.h"
#include "server/engine/controller.h"

namespace basalt::storage {

struct MachineFacts {
  int64_t memory = 0;           // bytes
  std::string swap_file;        // path
  uint64_t data_available = 0;  // bytes
};

// What of a section cannot be carried out is a step that says why. Errors: those of PlanVolumes and
// CheckData, "no-room" for a swap file.
absl::StatusOr<engine::ControllerPlan> PlanStorage(const v1::MachineConfig* from,
                                                   const v1::MachineConfig& to,
                                                   const StorageFacts& facts,
                                                   const VolumeRecord& record,
                                                   const MachineFacts& machine);

// Without what Unimplemented() says of: what Execute can do of it.
v1::Storage Implemented(const v1::Storage& storage);

}  // namespace basalt::storage
