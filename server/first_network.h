// The network of a machine that has lost its STATE: DHCP for IPv4 on every Ethernet port, so that
// somebody can reach what still answers. With STATE the network controller does it
// (server/controllers/network). noded-init has brought the links up; IPv6 is the kernel's.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/host/supervisor.h"

namespace basalt {

inline constexpr char kDhcpClient[] = "/usr/sbin/dhcpcd";

// Names of the machine's Ethernet links, sorted. `root`: "" but in tests.
std::vector<std::string> EthernetLinks(const std::string& root);

// Starts it, unless it runs already. NotFound "no-dhcp-client" when the image has none.
absl::Status StartFirstNetwork(host::Supervisor& supervisor, const std::string& hook);

}  // namespace basalt
