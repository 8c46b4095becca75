// Keys and peers of WireGuard tunnels; the links themselves are made by network.h. Real: generic
// netlink. Fake: tests/support/network. One thread. Errors: NotFound (no such link), Unimplemented
// "kernel-cannot", Unavailable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace basalt::host {

struct TunnelNetwork {
  std::string ip;  // 4 or 16 bytes, network byte order
  int prefix = 0;
  auto operator<=>(const TunnelNetwork&) const = default;
};

// Keys are 32 bytes.
struct TunnelPeer {
  std::string public_key;
  std::string preshared_key;  // "" = none
  std::string endpoint;       // 4 or 16 bytes; "" = it calls
  uint16_t endpoint_port = 0;
  uint16_t keepalive = 0;  // seconds
  std::vector<TunnelNetwork> allowed;
  bool operator==(const TunnelPeer&) const = default;
};

struct Tunnel {
  std::string private_key;
  uint16_t listen_port = 0;  // 0 = any
  std::vector<TunnelPeer> peers;
  bool operator==(const Tunnel&) const = default;
};

class Wireguard {
 public:
  virtual ~Wireguard() = default;
  virtual absl::StatusOr<Tunnel> Get(const std::string& link) = 0;
  // What differs from what is there; sessions of peers that stay as they are go on. An endpoint of
  // a peer that is there is set only if the peer has none: it may have moved since.
  virtual absl::Status Set(const std::string& link, const Tunnel& tunnel) = 0;
};

absl::StatusOr<std::unique_ptr<Wireguard>> OpenWireguard();

}  // namespace basalt::host
