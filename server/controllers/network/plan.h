// What an apply would do to the network, in words. Pure: of two configs, not of the machine.
#pragma once

#include <string>
#include <vector>

#include "server/controllers/network/spec.h"
#include "server/engine/controller.h"

namespace basalt::network {

// What this node can and cannot, by the programs of its image.
struct Abilities {
  bool wifi = false;
  bool firewall = true;
};

engine::ControllerPlan PlanNetwork(const v1::MachineConfig* from, const v1::MachineConfig& to,
                                   const Abilities& abilities);

}  // namespace basalt::network
