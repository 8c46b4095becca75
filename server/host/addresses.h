// Where this machine can be reached, as the kernel has it now.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace basalt::host {

// Of links that are up, IPv4 first: not the loopback's, none that holds on one link alone, none of
// what K3s and its CNI make.
std::vector<std::string> OwnAddresses();

// Is it a link that K3s or a CNI makes? "cni0", "flannel.1", "veth12ab", "kube-ipvs0".
bool IsOfPods(absl::string_view link);

}  // namespace basalt::host
