// Where a node will be reached with a config, as far as the config itself says. Pure.
#pragma once

#include <string>
#include <vector>

#include "basalt/v1/machine_config.pb.h"

namespace basalt::network {

// Addresses of interfaces, at most 8, those of tunnels last; at the ports of `api.listen`, else at
// `port`.
std::vector<std::string> StaticEndpoints(const v1::MachineConfig& config, const std::string& port);

}  // namespace basalt::network
