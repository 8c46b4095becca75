#include "server/controllers/network/firewall.h"

#include <map>

#include "machineconfig/format/net.h"

namespace basalt::network {

host::FilterPolicy PolicyOf(const v1::Firewall& firewall) {
  static const std::map<std::string, uint8_t> kProtocols = {
      {"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmpv6", 58}};
  host::FilterPolicy policy{.drop = firewall.policy() == v1::FIREWALL_ACTION_DROP};
  for (const v1::FirewallRule& in : firewall.rules()) {
    host::FilterRule rule{.name = in.name(),
                          .interfaces = {in.interfaces().begin(), in.interfaces().end()},
                          .drop = in.action() == v1::FIREWALL_ACTION_DROP};
    if (auto it = kProtocols.find(in.protocol()); it != kProtocols.end()) {
      rule.protocol = it->second;
    }
    for (const std::string& text : in.from()) {
      if (auto cidr = format::ParseCidr(text); cidr.ok()) {
        rule.from.push_back({.ip = cidr->network.bytes, .prefix = cidr->prefix});
      }
    }
    for (const std::string& text : in.ports()) {
      if (auto ports = format::ParsePorts(text); ports.ok()) {
        rule.ports.push_back({.first = ports->first, .last = ports->last});
      }
    }
    policy.rules.push_back(std::move(rule));
  }
  return policy;
}

host::FilterRule DiscoveryRule() {
  return {.name = "discoverable", .protocol = 17, .ports = {{.first = 5353, .last = 5353}}};
}

}  // namespace basalt::network
