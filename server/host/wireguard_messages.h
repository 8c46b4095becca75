// The generic netlink messages of WireGuard, linux/wireguard.h. Pure. Private to this directory and
// its tests.
#pragma once

#include <string>
#include <vector>

#include "server/host/wireguard.h"

struct nlmsghdr;

namespace basalt::host {

std::string GetWireguardFamily();
// 0: not the answer.
uint16_t ReadWireguardFamily(const nlmsghdr* message);

std::string GetTunnel(uint16_t family, const std::string& link);
// A tunnel with many peers comes in several messages: each adds to `tunnel`.
void ReadTunnel(const nlmsghdr* message, Tunnel* tunnel);

// One for the device, if it differs, and one for each peer that goes, comes or differs.
std::vector<std::string> TunnelMessages(uint16_t family, const std::string& link, const Tunnel& is,
                                        const Tunnel& wanted);

}  // namespace basalt::host
