// The firewall of a config as what the kernel is told. Pure.
#pragma once

#include "basalt/v1/machine_config.pb.h"
#include "server/host/packet_filter.h"

namespace basalt::network {

host::FilterPolicy PolicyOf(const v1::Firewall& firewall);
// For a node that answers `nodectl discover` (api.discoverable): nobody has to open mDNS twice. A
// rule of the config that drops it comes before.
host::FilterRule DiscoveryRule();

}  // namespace basalt::network
