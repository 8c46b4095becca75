// WireGuard of a config as what the kernel is told, and keys. Pure but for NewKey, which takes
// randomness.
#pragma once

#include <map>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
#include "server/host/clock.h"
#include "server/host/wireguard.h"

namespace basalt::network {

// Below the root of Vfs: the keys that the node made, a file a tunnel.
inline constexpr char kKeyDir[] = "state/wireguard";

// Keys as 32 bytes; texts as `wg` writes them.
std::string NewKey(host::Random& random);
std::string KeyBytes(const std::string& text);  // "" when it is none
std::string KeyText(const std::string& bytes);
std::string PublicKeyOf(const std::string& private_key);  // "" when it is none

// `resolved`: addresses of names. A peer whose name is not in it has no endpoint yet.
host::Tunnel TunnelOf(const v1::Wireguard& config, const std::string& private_key,
                      const std::map<std::string, std::string>& resolved);

// Names of endpoints, for resolving; addresses are none.
std::set<std::string> NamesOf(const v1::Wireguard& config);

}  // namespace basalt::network
