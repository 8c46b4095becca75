// Makes the kernel's network as the config says: observes, reconciles, acts, and observes again
// until nothing is left to do. What fails is told and the rest goes on: a bond that this kernel
// does not know must not take the uplink with it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/controllers/network/reconcile.h"

namespace basalt::network {

struct Convergence {
  absl::Status status;            // the first failure, with what was tried
  std::vector<Problem> problems;  // links that are not there
  std::vector<std::string> done;  // in words
  host::NetworkState state;       // as it is now
};

Convergence Converge(host::Network& network, const NetworkSpec& spec);

absl::Status Execute(host::Network& network, const Operation& operation);

}  // namespace basalt::network
