// The firewall of a config as what the kernel is told. Pure.
#pragma once

#include "basalt/v1/machine_config.pb.h"
#include "server/host/packet_filter.h"

namespace basalt::network {

host::FilterPolicy PolicyOf(const v1::Firewall& firewall);

}  // namespace basalt::network
