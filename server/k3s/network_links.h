// The network links that K3s makes and leaves, over rtnetlink. Acts on the network namespace that
// it is called in: only for a node that owns it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace basalt::k3s {

struct NetworkLink {
  int index = 0;
  int master = 0;  // of the bridge that it is enslaved to; 0 = none
  std::string name;
  bool operator==(const NetworkLink&) const = default;
};

// Which of `links` are K3s's, in the order in which they are to go: what hangs on its bridge, then
// the bridge and flannel's. Pure.
std::vector<NetworkLink> LinksOfK3s(const std::vector<NetworkLink>& links);

// Removes them. Unavailable names the first that did not go.
absl::Status RemoveLinksOfK3s();

}  // namespace basalt::k3s
