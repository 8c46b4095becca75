// What a config says of a machine that is a container: its name, the names that it knows,
// authorities and proxies are its own; kernel, disks, links, clock and image are of the machine
// below it, and whatever a config says of them is refused by field. See README.md. Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "server/engine/controller.h"
#include "server/host/kernel.h"
#include "server/host/vfs.h"

namespace basalt::container {

inline constexpr char kHostNameFile[] = "run/etc/hostname";
inline constexpr char kHosts[] = "run/etc/hosts";
inline constexpr char kResolvConf[] = "run/etc/resolv.conf";
// What whoever runs the container gives it, while the config names no servers.
inline constexpr char kGivenResolvConf[] = "run/host/resolv.conf";

// Pure. A step for each thing that changes; one that is refused for each field of `system`,
// `network` and `storage` that is said and is not the container's.
engine::ControllerPlan PlanContainer(const v1::MachineConfig* from, const v1::MachineConfig& to);

std::unique_ptr<engine::Controller> MakeContainerController(host::Vfs& vfs, host::Kernel& kernel);

}  // namespace basalt::container
