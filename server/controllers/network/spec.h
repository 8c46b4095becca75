// What a machine config says of the network, resolved and typed: what the kernel and dhcpcd are
// compared with. Made of a valid config; pure.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "basalt/v1/machine_config.pb.h"
#include "server/host/network.h"

namespace basalt::network {

struct MatchSpec {
  std::string mac, driver, path;
  bool empty() const { return mac.empty() && driver.empty() && path.empty(); }
  bool operator==(const MatchSpec&) const = default;
};

struct DhcpSpec {
  bool v4 = false, v6 = false;
  bool use_dns = true, use_ntp = true, use_routes = true, send_hostname = true;
  uint32_t metric = 0;    // 0: of the client
  std::string client_id;  // "": made of the MAC address
  bool asks() const { return v4 || v6; }
  bool operator==(const DhcpSpec&) const = default;
};

// In the order in which they are made: what others are on top of comes first.
struct LinkSpec {
  std::string name;
  std::string kind;  // "" a device; "vlan", "bond", "bridge", "wireguard", "wifi"
  MatchSpec match;
  std::string below;  // of a VLAN
  int vlan_id = 0;
  host::BondOptions bond;
  std::string primary;
  host::BridgeOptions bridge;
  std::set<int> vlans;  // of each member of the bridge
  std::string master;   // the bond or bridge that it is a member of
  bool in_bond = false;
  std::optional<int64_t> mtu;
  std::string mac;                       // "" its own
  std::vector<host::Address> addresses;  // their links are this one
  std::vector<host::Route> routes;
  int accept_ra = 0;
  DhcpSpec dhcp;
  bool as_found = false;  // of the first network: nothing about it was said
  bool operator==(const LinkSpec&) const = default;
};

struct NetworkSpec {
  // No interface is named: every wired device asks.
  bool first = true;
  std::vector<LinkSpec> links;
  std::vector<host::Rule> rules;
  bool operator==(const NetworkSpec&) const = default;
};

NetworkSpec SpecOf(const v1::MachineConfig* config);

// The first network in terms of the devices that are there; any other as it is.
NetworkSpec ForDevices(NetworkSpec spec, const host::NetworkState& state);

// "192.168.1.10/24"
std::string Text(const std::string& ip, int prefix);
// "default via 192.168.1.1 metric 100"
std::string Text(const host::Route& route);
std::string Text(const host::Rule& rule);

}  // namespace basalt::network
