// Addresses as the listener needs them: listen texts, where a connection comes from, networks.
// Pure functions on values.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::rpc {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  int family() const { return storage.ss_family; }
  uint16_t port() const;
  // "127.0.0.1:6050", "[fd00::1]:6050"; an IPv4 address mapped into IPv6 as IPv4. The text that
  // NormalizePeer makes of gRPC's name for the same peer.
  std::string ToString() const;
};

// "127.0.0.1:6050", "[::1]:0", ":6050" (every address, IPv4 and IPv6). Names are not resolved: an
// address that depends on DNS is no address to listen on. InvalidArgument/"bad-address".
absl::StatusOr<SocketAddress> ParseListenAddress(absl::string_view text);

// gRPC's "ipv6:%5B::1%5D:4321" as "[::1]:4321"; other text comes back as it is.
std::string NormalizePeer(absl::string_view grpc_peer);

// What caps count by: one IPv4 address or one IPv6 /64.
std::string SourceOf(const SocketAddress& address);

class Network {
 public:
  // "10.0.0.0/8", "fd00::/8", or one address. InvalidArgument/"bad-network".
  static absl::StatusOr<Network> Parse(absl::string_view text);
  bool Contains(const SocketAddress& address) const;

 private:
  std::array<uint8_t, 16> bytes_{};  // IPv4 as IPv4-mapped IPv6
  int prefix_ = 0;                   // counted in the 128 bits
};

// True when `networks` is empty.
bool Allowed(const std::vector<Network>& networks, const SocketAddress& address);

}  // namespace basalt::rpc
