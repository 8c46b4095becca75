// The network of a machine that no config describes yet: DHCP for IPv4 on every Ethernet port, so
// that somebody can bring it one. noded-init has brought the links up; IPv6 is the kernel's.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/host/supervisor.h"

namespace basalt {

inline constexpr char kDhcpService[] = "dhcp";

// dhcpcd for these links, and for no other: K3s's links come and go, and must not be asked for.
host::ServiceSpec DhcpService(const std::vector<std::string>& links, const std::string& hook);

// Names of the machine's Ethernet links, sorted. `root`: "" but in tests.
std::vector<std::string> EthernetLinks(const std::string& root);

// Starts it, unless it runs already. NotFound "no-dhcp-client" when the image has none.
absl::Status StartFirstNetwork(host::Supervisor& supervisor, const std::string& hook);

}  // namespace basalt
