// Rules for WireGuard tunnels and their peers.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "machineconfig/format/time.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/network_rules.h"

namespace basalt::validate {

void CheckWireguard(const v1::Interface& interface, const std::string& at, Report& report) {
  const v1::Wireguard& wireguard = interface.wireguard();
  const std::string path = schema::Child(at, "wireguard");
  for (const auto& [present, field] :
       {std::make_pair(interface.dhcp4(), "dhcp4"), std::make_pair(interface.dhcp6(), "dhcp6"),
        std::make_pair(interface.has_mac_address(), "macAddress")}) {
    if (!present) continue;
    report.Error(schema::Child(at, field), "conflict",
                 "a WireGuard tunnel has no Ethernet, and so no DHCP or MAC address",
                 "give it `addresses`");
  }
  if (wireguard.peers_size() == 0) {
    report.Error(schema::Child(path, "peers"), "required", "a tunnel needs its other end",
                 "peers: [{name: office, publicKey: ..., endpoint: ..., allowedIps: [...]}]");
  }
  std::map<std::string, std::string> keys, networks;
  const std::vector<std::string> paths = Elements(path, wireguard, "peers");
  for (int p = 0; p < wireguard.peers_size(); ++p) {
    const v1::WireguardPeer& peer = wireguard.peers(p);
    const std::string& here = paths[p];
    if (auto [it, fresh] = keys.try_emplace(peer.public_key(), here);
        !fresh && peer.has_public_key()) {
      report.Error(schema::Child(here, "publicKey"), "conflict",
                   absl::StrCat("is the key of ", it->second, " as well"),
                   "one key is one peer; its networks go together into allowedIps");
    }
    for (int k = 0; k < peer.allowed_ips_size(); ++k) {
      // One network inside another is what the longest prefix is for.
      auto [it, fresh] = networks.try_emplace(peer.allowed_ips(k), here);
      if (fresh || it->second == here) continue;
      report.Error(schema::Element(schema::Child(here, "allowedIps"), k), "conflict",
                   absl::StrCat("is behind ", it->second, " as well; packets go to one of them"),
                   "keep one of the two");
    }
    if (!peer.has_endpoint() && !wireguard.has_listen_port()) {
      report.Warning(
          here, "nobody-calls",
          "the peer has no endpoint and this node no listenPort: neither can call the other",
          "endpoint: HOST:PORT here, or listenPort on this node and its address there");
    }
    if (peer.has_keepalive()) {
      const auto keepalive = format::ParseDuration(peer.keepalive());
      if (keepalive.ok() && (*keepalive < absl::Seconds(1) || *keepalive > absl::Seconds(65535))) {
        report.Error(schema::Child(here, "keepalive"), "out-of-range", "allowed: from 1s to 65535s",
                     "25s serves most NATs");
      }
    }
  }
}

}  // namespace basalt::validate
