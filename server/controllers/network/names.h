// Names that a node knows by itself: /etc/hosts, and the part of resolv.conf that the config says.
// Pure. What leases say beside it is in server/dhcp.
#pragma once

#include <string>

#include "basalt/v1/machine_config.pb.h"
#include "server/dhcp/lease.h"

namespace basalt::network {

// `config` null: of a node without one.
std::string HostsText(const v1::MachineConfig* config);
dhcp::Lease ConfiguredNames(const v1::MachineConfig* config);

}  // namespace basalt::network
