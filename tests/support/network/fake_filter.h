// A packet filter and WireGuard with memory, behind server/host/packet_filter.h and wireguard.h.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "server/host/packet_filter.h"
#include "server/host/wireguard.h"

namespace basalt::testing {

class FakePacketFilter : public host::PacketFilter {
 public:
  absl::Status Set(const host::FilterPolicy& wanted) override {
    ++changes;
    policy = wanted;
    return absl::OkStatus();
  }
  absl::Status Remove() override {
    ++changes;
    policy.reset();
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Mark() override {
    if (!kernel.ok()) return kernel;
    return policy ? host::MarkOf(*policy) : std::string();
  }

  std::optional<host::FilterPolicy> policy;
  absl::Status kernel;  // not OK: it has no nftables
  int changes = 0;
};

class FakeWireguard : public host::Wireguard {
 public:
  absl::StatusOr<host::Tunnel> Get(const std::string& link) override { return tunnels[link]; }
  absl::Status Set(const std::string& link, const host::Tunnel& tunnel) override {
    if (!kernel.ok()) return kernel;
    tunnels[link] = tunnel;
    return absl::OkStatus();
  }

  std::map<std::string, host::Tunnel> tunnels;
  absl::Status kernel;
};

}  // namespace basalt::testing
