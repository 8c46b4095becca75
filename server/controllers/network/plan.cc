#include "server/controllers/network/plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/controllers/network/names.h"

namespace basalt::network {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr char kName[] = "network";

engine::PlanStep& Add(engine::ControllerPlan* plan, const std::string& what) {
  plan->steps.push_back({.controller = kName, .description = what, .effect = v1::EFFECT_LIVE});
  return plan->steps.back();
}

std::string What(const LinkSpec& link) {
  if (link.kind == "vlan") return absl::StrCat("VLAN ", link.vlan_id, " on ", link.below);
  if (link.kind == "wireguard") return "WireGuard tunnel";
  return link.kind;
}

// All that the config gives the link, a phrase each: two of them compared tell what changes.
std::vector<std::string> Phrases(const LinkSpec& link) {
  std::vector<std::string> out;
  for (const host::Address& a : link.addresses) {
    out.push_back(absl::StrCat("address ", Text(a.ip, a.prefix)));
  }
  for (const host::Route& r : link.routes) out.push_back(absl::StrCat("route ", Text(r)));
  if (link.dhcp.v4) out.push_back("DHCP");
  if (link.dhcp.v6) out.push_back("DHCPv6");
  if (link.dhcp.asks()) {
    if (!link.dhcp.use_dns) out.push_back("no DNS servers by DHCP");
    if (!link.dhcp.use_ntp) out.push_back("no time servers by DHCP");
    if (!link.dhcp.use_routes) out.push_back("no routes by DHCP");
    if (!link.dhcp.send_hostname) out.push_back("no host name to DHCP servers");
    if (link.dhcp.metric != 0)
      out.push_back(absl::StrCat("metric ", link.dhcp.metric, " of DHCP's routes"));
    if (!link.dhcp.client_id.empty())
      out.push_back(absl::StrCat("client id `", link.dhcp.client_id, "`"));
  }
  if (link.mtu) out.push_back(absl::StrCat("MTU ", *link.mtu));
  if (!link.mac.empty()) out.push_back(absl::StrCat("MAC address ", link.mac));
  if (!link.master.empty()) out.push_back(absl::StrCat("membership in ", link.master));
  if (link.accept_ra != 0) out.push_back("router advertisements");
  for (int vlan : link.vlans) out.push_back(absl::StrCat("VLAN ", vlan, " at its members"));
  return out;
}

std::vector<std::string> Without(std::vector<std::string> all,
                                 const std::vector<std::string>& some) {
  all.erase(std::remove_if(all.begin(), all.end(),
                           [&](const std::string& one) {
                             return std::count(some.begin(), some.end(), one) > 0;
                           }),
            all.end());
  return all;
}

bool MadeAnew(const LinkSpec& from, const LinkSpec& to) {
  return from.kind != to.kind || from.below != to.below || from.vlan_id != to.vlan_id ||
         from.bond.mode != to.bond.mode;
}

void PlanNew(const LinkSpec& link, const Abilities& abilities, engine::ControllerPlan* plan) {
  const std::vector<std::string> phrases = Phrases(link);
  std::string text = link.kind.empty() ? absl::StrCat(link.name, ":")
                                       : absl::StrCat(link.name, ": make the ", What(link));
  if (!link.kind.empty() && !phrases.empty()) text += ", with";
  if (phrases.empty() && link.kind.empty()) text += " bring it up";
  engine::PlanStep& step =
      Add(plan, phrases.empty() ? text : absl::StrCat(text, " ", absl::StrJoin(phrases, ", ")));
  if (link.kind == "wifi" && !abilities.wifi) {
    step.unimplemented = "the image has no program that joins wireless networks";
  }
}

void PlanLink(const LinkSpec& from, const LinkSpec& to, const Abilities& abilities,
              engine::ControllerPlan* plan) {
  if (from == to) return;
  if (MadeAnew(from, to)) {
    Add(plan, absl::StrCat(to.name, ": remove it, to make it anew"));
    return PlanNew(to, abilities, plan);
  }
  const std::vector<std::string> before = Phrases(from), after = Phrases(to);
  const std::vector<std::string> add = Without(after, before), remove = Without(before, after);
  std::vector<std::string> parts;
  if (!add.empty()) parts.push_back(absl::StrCat("add ", absl::StrJoin(add, ", ")));
  if (!remove.empty()) parts.push_back(absl::StrCat("take away ", absl::StrJoin(remove, ", ")));
  if (from.match != to.match) parts.push_back("find the device anew");
  if (parts.empty()) parts.push_back("change its options");
  Add(plan, absl::StrCat(to.name, ": ", absl::StrJoin(parts, "; ")));
}

void PlanLinks(const NetworkSpec& from, const NetworkSpec& to, const Abilities& abilities,
               engine::ControllerPlan* plan) {
  std::map<std::string, const LinkSpec*> before;
  for (const LinkSpec& link : from.links) before[link.name] = &link;
  std::set<std::string> stay;
  for (const LinkSpec& link : to.links) stay.insert(link.name);
  for (auto it = from.links.rbegin(); it != from.links.rend(); ++it) {
    if (stay.count(it->name) > 0) continue;
    Add(plan, it->kind.empty() ? absl::StrCat(it->name, ": undo what the config did to it")
                               : absl::StrCat(it->name, ": remove the ", What(*it)));
  }
  for (const LinkSpec& link : to.links) {
    auto it = before.find(link.name);
    if (it == before.end()) {
      PlanNew(link, abilities, plan);
    } else {
      PlanLink(*it->second, link, abilities, plan);
    }
  }
  if (from.first && !to.first) {
    Add(plan, "wired devices that the config does not name no longer ask for addresses");
  } else if (to.first && !from.first) {
    Add(plan, "every wired device asks for addresses by DHCP and router advertisements");
  }
}

void PlanTunnels(const v1::MachineConfig* from, const v1::MachineConfig& to,
                 engine::ControllerPlan* plan) {
  if (from == nullptr) return;
  std::map<std::string, const v1::Wireguard*> before;
  for (const v1::Interface& interface : from->network().interfaces()) {
    if (interface.has_wireguard()) before[interface.name()] = &interface.wireguard();
  }
  for (const v1::Interface& interface : to.network().interfaces()) {
    auto it = before.find(interface.name());
    if (!interface.has_wireguard() || it == before.end()) continue;
    const v1::Wireguard& was = *it->second;
    const v1::Wireguard& is = interface.wireguard();
    std::map<std::string, const v1::WireguardPeer*> peers;
    for (const v1::WireguardPeer& peer : was.peers()) peers[peer.name()] = &peer;
    for (const v1::WireguardPeer& peer : is.peers()) {
      auto old = peers.find(peer.name());
      if (old == peers.end()) {
        Add(plan, absl::StrCat(interface.name(), ": add the peer ", peer.name()));
        continue;
      }
      if (!MessageDifferencer::Equals(*old->second, peer)) {
        Add(plan, absl::StrCat(interface.name(), ": change the peer ", peer.name()));
      }
      peers.erase(old);
    }
    for (const auto& [name, peer] : peers) {
      Add(plan, absl::StrCat(interface.name(), ": remove the peer ", name));
    }
    if (was.listen_port() != is.listen_port() ||
        !MessageDifferencer::Equals(was.private_key(), is.private_key())) {
      Add(plan, absl::StrCat(interface.name(), ": change its key or port"));
    }
  }
}

void PlanRules(const NetworkSpec& from, const NetworkSpec& to, engine::ControllerPlan* plan) {
  auto has = [](const NetworkSpec& spec, const host::Rule& rule) {
    return std::count(spec.rules.begin(), spec.rules.end(), rule) > 0;
  };
  for (const host::Rule& rule : to.rules) {
    if (!has(from, rule)) Add(plan, absl::StrCat("routing rule: what is ", Text(rule)));
  }
  for (const host::Rule& rule : from.rules) {
    if (!has(to, rule)) Add(plan, absl::StrCat("no routing rule: what is ", Text(rule)));
  }
}

void PlanNames(const v1::MachineConfig* from, const v1::MachineConfig& to,
               engine::ControllerPlan* plan) {
  const dhcp::Lease before = ConfiguredNames(from), after = ConfiguredNames(&to);
  if (before.servers != after.servers) {
    Add(plan, after.servers.empty()
                  ? "resolve names by the DNS servers that DHCP says"
                  : absl::StrCat("resolve names by ", absl::StrJoin(after.servers, ", ")));
  }
  if (before.search != after.search) {
    Add(plan, after.search.empty()
                  ? "append to short names what DHCP says"
                  : absl::StrCat("append to short names: ", absl::StrJoin(after.search, ", ")));
  }
  v1::Network a = from == nullptr ? v1::Network() : from->network(), b = to.network();
  for (v1::Network* network : {&a, &b}) {
    v1::Network hosts;
    hosts.mutable_hosts()->Swap(network->mutable_hosts());
    network->Swap(&hosts);
  }
  if (!MessageDifferencer::Equals(a, b)) {
    Add(plan, absl::StrCat("write /etc/hosts, with ", b.hosts_size(),
                           b.hosts_size() == 1 ? " entry" : " entries", " of the config"));
  }
}

void PlanFirewall(const v1::MachineConfig* from, const v1::MachineConfig& to,
                  const Abilities& abilities, engine::ControllerPlan* plan) {
  const bool had = from != nullptr && from->network().has_firewall();
  if (!to.network().has_firewall()) {
    if (had) Add(plan, "remove the firewall: every connection is accepted");
    return;
  }
  const v1::Firewall& firewall = to.network().firewall();
  v1::Firewall before = had ? from->network().firewall() : v1::Firewall(), after = firewall;
  before.clear_closed();  // words for who writes the config
  after.clear_closed();
  if (had && MessageDifferencer::Equals(before, after)) return;
  engine::PlanStep& step =
      Add(plan, absl::StrCat("firewall: ", firewall.rules_size(),
                             firewall.rules_size() == 1 ? " rule; " : " rules; ",
                             firewall.policy() == v1::FIREWALL_ACTION_DROP
                                 ? "connections that no rule accepts are dropped"
                                 : "connections that no rule drops are accepted"));
  if (!abilities.firewall) step.unimplemented = "the kernel of this node has no nftables";
}

}  // namespace

engine::ControllerPlan PlanNetwork(const v1::MachineConfig* from, const v1::MachineConfig& to,
                                   const Abilities& abilities) {
  engine::ControllerPlan plan;
  const NetworkSpec before = SpecOf(from), after = SpecOf(&to);
  PlanLinks(before, after, abilities, &plan);
  PlanTunnels(from, to, &plan);
  PlanRules(before, after, &plan);
  PlanNames(from, to, &plan);
  PlanFirewall(from, to, abilities, &plan);
  return plan;
}

}  // namespace basalt::network
