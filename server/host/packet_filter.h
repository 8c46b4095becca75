// Which connections to this node are accepted: one table of our own in nftables, replaced as one.
// Tables of others (kube-proxy, the CNI, iptables) are never read or written. The real one makes no
// decisions; the fake (tests/support/network) has memory. One thread. Errors: Unimplemented
// "kernel-cannot", Unavailable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace basalt::host {

struct FilterNetwork {
  std::string ip;  // 4 or 16 bytes, network byte order
  int prefix = 0;
  bool operator==(const FilterNetwork&) const = default;
};

struct FilterPorts {
  uint16_t first = 0, last = 0;
  bool operator==(const FilterPorts&) const = default;
};

// All that is said has to be so; an empty list says nothing.
struct FilterRule {
  std::string name;
  std::vector<FilterNetwork> from;
  std::vector<std::string> interfaces;
  uint8_t protocol = 0;  // of IP; 0 = any
  std::vector<FilterPorts> ports;
  bool drop = false;
  bool operator==(const FilterRule&) const = default;
};

// What drops is looked at first, then what accepts; `drop` is for what no rule is about.
struct FilterPolicy {
  bool drop = false;
  std::vector<FilterRule> rules;
  bool operator==(const FilterPolicy&) const = default;
};

// What tells one policy from another, and from a table that somebody changed.
std::string MarkOf(const FilterPolicy& policy);

class PacketFilter {
 public:
  virtual ~PacketFilter() = default;
  // Old or new, for every packet: never neither.
  virtual absl::Status Set(const FilterPolicy& policy) = 0;
  virtual absl::Status Remove() = 0;  // OK when there is none
  // MarkOf what is there; "" when there is none.
  virtual absl::StatusOr<std::string> Mark() = 0;
};

absl::StatusOr<std::unique_ptr<PacketFilter>> OpenPacketFilter();

}  // namespace basalt::host
