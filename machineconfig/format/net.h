// Addresses, networks, names and URLs. Pure: nothing is looked up. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::format {

// Network byte order; 4 or 16 bytes.
struct IpAddress {
  std::string bytes;
  bool v6() const { return bytes.size() == 16; }
  std::string ToString() const;
  bool operator==(const IpAddress&) const = default;
};
// Without zone, prefix or leading zeros.
absl::StatusOr<IpAddress> ParseIp(absl::string_view text);

struct Cidr {
  IpAddress network;
  int prefix = 0;
  // False for an address of the other family.
  bool Contains(const IpAddress& address) const;
  bool operator==(const Cidr&) const = default;
};
// The bits behind the prefix must be zero: "10.42.0.1/16" is taken for a mistake.
absl::StatusOr<Cidr> ParseCidr(absl::string_view text);

// An address of a host in its network.
struct IpPrefix {
  IpAddress address;
  int prefix = 0;
  Cidr Network() const;
};
// "192.168.1.10/24", "fd00::10/64". Not the address of the network itself nor, for IPv4, that of
// all its hosts: both are taken for mistakes.
absl::StatusOr<IpPrefix> ParseIpPrefix(absl::string_view text);

struct HostPort {
  std::string host;  // without brackets; empty: every address
  uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};
// "0.0.0.0:6050", "[::1]:6050", ":6050", "node-1.lan:6050"; port 0 is refused.
absl::StatusOr<HostPort> ParseHostPort(absl::string_view text);

struct Ports {
  uint16_t first = 0;
  uint16_t last = 0;
};
// "6443", "30000-32767"; port 0 is refused.
absl::StatusOr<Ports> ParsePorts(absl::string_view text);

// "dc:a6:32:01:02:03"; neither of a group nor all zero.
absl::Status CheckMac(absl::string_view text);
// What the kernel takes and tools can read: 1 to 15 letters, digits, `-`, `_`, `.`; not all digits.
absl::Status CheckInterfaceName(absl::string_view text);

bool IsDnsLabel(absl::string_view text);  // RFC 1123, at most 63, lower case
bool IsDnsName(absl::string_view text);   // labels with dots, at most 253

struct Url {
  std::string scheme;  // http, https, file
  std::string host;    // without brackets; empty for file
  int port = 0;        // 0: that of the scheme
  std::string path;    // with query, as written
};
// Absolute, at most 2048 bytes, no control characters, spaces, userinfo or fragment.
absl::StatusOr<Url> ParseUrl(absl::string_view text);
// Where records are sent: https, http, or syslog+tls, syslog+tcp and syslog+udp, which have a host
// and a port and no path.
absl::StatusOr<Url> ParseSinkUrl(absl::string_view text);

}  // namespace basalt::format
