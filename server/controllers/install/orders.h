// What signed orders do to the disks of a machine, as the engine asks for it.
#pragma once

#include <memory>
#include <string>

#include "server/controllers/install/partition_reset.h"
#include "server/engine/executor.h"
#include "server/engine/machine_orders.h"
#include "server/host/block.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"

namespace basalt::install {

struct OrderDeps {
  engine::Executor& executor;
  host::Vfs& vfs;
  host::Supervisor& supervisor;
  std::shared_ptr<host::BlockDevices> block;
  OpenFiles files;
  std::string esp;  // device of the boot partition; "" when it was not found
  bool data_is_new = false;
  std::string boot_failure;
  std::function<void()> on_change;  // disks hold something else now
};

std::unique_ptr<engine::MachineOrders> MakeMachineOrders(OrderDeps deps);

// Mounts it at a place of its own; the real OpenFiles.
OpenFiles MountedFiles(std::shared_ptr<host::BlockDevices> block, std::string type);

}  // namespace basalt::install
