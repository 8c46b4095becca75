// What a lease says about names and time: from dhcpcd's environment to resolv.conf. Pure. Every
// value was chosen by whoever answered first on the link, so each is checked before it stands in a
// file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace basalt::dhcp {

using Environment = std::map<std::string, std::string>;

struct Lease {
  std::string interface;
  std::vector<std::string> servers;  // of names, at most 3
  std::vector<std::string> search;   // at most 6
  std::vector<std::string> time;     // servers, at most 4
  bool operator==(const Lease&) const = default;
};

// Whether dhcpcd tells of a lease, of its end, or of something that does not matter here.
enum class Change { kNone, kBound, kGone };
Change ChangeOf(const Environment& environment);
// Of DHCPv6: its leases are files of their own, as a link may have one of each.
bool IsVersion6(const Environment& environment);

// Drops what is not an address or not a domain name. `interface` "" when that is not one.
Lease LeaseOf(const Environment& environment);

// One file for each lease, so that links can come and go: parsed again when resolv.conf is made.
std::string ToText(const Lease& lease);
Lease FromText(absl::string_view text);

// In this directory below /run: `IF.lease`, `IF.lease6`, and what the machine config says itself.
inline constexpr char kLeaseDir[] = "dhcp";
inline constexpr char kConfigFile[] = "config";
bool IsLeaseFile(absl::string_view name);

// The config's first, then the leases in order of their links: servers without repeats, at most 3,
// as resolvers read no more.
std::string ResolvConf(const std::vector<Lease>& leases);

}  // namespace basalt::dhcp
