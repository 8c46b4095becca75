// Onto which disk a node puts itself that runs from an install medium, and what is lost. Pure.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
#include "server/controllers/install/layout.h"
#include "server/controllers/storage/facts.h"

namespace basalt::install {

struct InstallPlan {
  host::BlockDisk disk;
  Layout layout;
  std::string id;     // InstallId
  std::string holds;  // "nothing", or by name what is lost
  std::string text;   // what a plan shows
};

// What disks are known by, 32 hex digits: device → id of its table.
using TableIds = std::map<std::string, std::string>;
TableIds ReadTableIds(host::BlockDevices& block, const storage::StorageFacts& facts);

// `medium`: device of the medium's boot partition. Errors (FailedPrecondition but for the first):
// Unimplemented "nothing-to-install" (no system.install), disk-not-found, disk-ambiguous,
// disk-of-the-medium, already-installed, disk-in-use, disk-read-only, disk-too-small.
absl::StatusOr<InstallPlan> PlanInstall(const v1::MachineConfig& config,
                                        const storage::StorageFacts& facts, const TableIds& ids,
                                        const std::string& medium);

// "already installed on /dev/vda ...", for the screen of a machine that was started from a medium
// again; "" when no disk has a node.
std::string WhereInstalled(const storage::StorageFacts& facts, const std::string& medium);

}  // namespace basalt::install
