#include "server/controllers/network/spec.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "machineconfig/format/net.h"
#include "machineconfig/format/time.h"
#include "server/controllers/network/mark.h"

namespace basalt::network {
namespace {

constexpr const char* kModes[] = {"balance-rr", "active-backup", "balance-xor", "broadcast",
                                  "802.3ad",    "balance-tlb",   "balance-alb"};
constexpr const char* kHashes[] = {"layer2",   "layer3+4", "layer2+3",
                                   "encap2+3", "encap3+4", "vlan+srcmac"};
constexpr uint32_t kFirstRule = 30000;  // before the main table, after whoever says a priority
constexpr uint32_t kIpv6Metric = 1024;  // what the kernel takes for none
constexpr int kTakeRa = 2;              // 1 is not enough where packets are forwarded

template <size_t N>
int IndexOf(const char* const (&words)[N], const std::string& word) {
  const auto at = std::find(std::begin(words), std::end(words), word);
  return at == std::end(words) ? 0 : static_cast<int>(at - std::begin(words));
}

host::Route RouteOf(const v1::Route& in) {
  host::Route route{
      .table = host::kMainTable, .on_link = in.on_link(), .protocol = host::kOwnProtocol};
  if (auto via = format::ParseIp(in.via()); via.ok()) route.via = via->bytes;
  if (auto source = format::ParseIp(in.source()); source.ok()) route.source = source->bytes;
  if (auto to = format::ParseCidr(in.to()); to.ok()) {
    route.to = to->network.bytes;
    route.prefix = to->prefix;
  } else {
    route.to = std::string(std::max(route.via.size(), route.source.size()), '\0');
  }
  route.metric = static_cast<uint32_t>(in.metric());
  if (route.v6() && route.metric == 0) route.metric = kIpv6Metric;
  if (in.has_table()) route.table = static_cast<uint32_t>(in.table());
  return route;
}

void AddAddresses(const v1::Interface& in, LinkSpec& link) {
  for (const v1::Route& route : in.routes()) link.routes.push_back(RouteOf(route));
  for (const std::string& text : in.addresses()) {
    auto ip = format::ParseIpPrefix(text);
    if (!ip.ok()) continue;
    host::Address address{
        .ip = ip->address.bytes, .prefix = ip->prefix, .protocol = host::kOwnProtocol};
    // What a route is sent from has to be usable when the route is made.
    address.no_dad = ip->address.v6() &&
                     std::any_of(link.routes.begin(), link.routes.end(),
                                 [&](const auto& route) { return route.source == address.ip; });
    link.addresses.push_back(address);
  }
}

LinkSpec LinkOf(const v1::Interface& in) {
  LinkSpec link{.name = in.name(), .accept_ra = in.accept_ra() ? kTakeRa : 0};
  link.match = {.mac = in.match().mac(), .driver = in.match().driver(), .path = in.match().path()};
  if (in.has_vlan()) {
    link.kind = "vlan";
    link.below = in.vlan().link();
    link.vlan_id = static_cast<int>(in.vlan().id());
  } else if (in.has_bond()) {
    link.kind = "bond";
    auto miimon = format::ParseDuration(in.bond().miimon());
    link.bond = {.mode = IndexOf(kModes, in.bond().mode()),
                 .miimon = miimon.ok() ? static_cast<int>(absl::ToInt64Milliseconds(*miimon)) : 100,
                 .lacp_fast = in.bond().lacp_rate() == "fast" ? 1 : 0,
                 .xmit_hash = IndexOf(kHashes, in.bond().xmit_hash())};
    link.primary = in.bond().primary();
  } else if (in.has_bridge()) {
    link.kind = "bridge";
    link.bridge = {.stp = in.bridge().stp(), .vlan_filtering = in.bridge().vlan_filtering()};
    for (int64_t vlan : in.bridge().vlans()) link.vlans.insert(static_cast<int>(vlan));
  } else if (in.has_wireguard()) {
    link.kind = "wireguard";
    link.accept_ra = 0;
  } else if (in.has_wifi()) {
    link.kind = "wifi";
  }
  if (in.has_mtu()) link.mtu = in.mtu();
  link.mac = in.mac_address();
  AddAddresses(in, link);
  link.dhcp = {.v4 = in.dhcp4(),
               .v6 = in.dhcp6(),
               .use_dns = in.dhcp().use_dns(),
               .use_ntp = in.dhcp().use_ntp(),
               .use_routes = in.dhcp().use_routes(),
               .send_hostname = in.dhcp().send_hostname(),
               .metric = static_cast<uint32_t>(in.dhcp().route_metric()),
               .client_id = in.dhcp().client_id()};
  if (!in.has_dhcp()) link.dhcp = {.v4 = in.dhcp4(), .v6 = in.dhcp6()};
  return link;
}

// What is below comes first; members after their bond, so that a member of a bond is taken down
// once it is known for what.
void Sort(std::vector<LinkSpec>& links) {
  std::map<std::string, const LinkSpec*> by_name;
  for (const LinkSpec& link : links) by_name[link.name] = &link;
  std::vector<LinkSpec> sorted;
  std::set<std::string> visited;
  std::function<void(const LinkSpec&)> visit = [&](const LinkSpec& link) {
    if (!visited.insert(link.name).second) return;
    if (auto below = by_name.find(link.below); below != by_name.end()) visit(*below->second);
    sorted.push_back(link);
  };
  for (const LinkSpec& link : links) visit(link);
  links = std::move(sorted);
}

void AddRule(const v1::RoutingRule& in, int position, NetworkSpec& spec) {
  host::Rule rule{.link = in.from_interface(),
                  .table = static_cast<uint32_t>(in.table()),
                  .priority = in.has_priority() ? static_cast<uint32_t>(in.priority())
                                                : kFirstRule + static_cast<uint32_t>(position),
                  .protocol = host::kOwnProtocol};
  bool four = true, six = true;
  for (const auto& [text, ip, prefix] : {std::tuple(&in.from(), &rule.from, &rule.from_prefix),
                                         std::tuple(&in.to(), &rule.to, &rule.to_prefix)}) {
    auto cidr = format::ParseCidr(*text);
    if (!cidr.ok()) continue;
    (cidr->network.v6() ? four : six) = false;
    *prefix = cidr->prefix;
    if (cidr->prefix > 0) *ip = cidr->network.bytes;
  }
  for (bool v6 : {false, true}) {
    rule.v6 = v6;
    if (v6 ? six : four) spec.rules.push_back(rule);
  }
}

}  // namespace

NetworkSpec SpecOf(const v1::MachineConfig* config) {
  NetworkSpec spec;
  if (config == nullptr) return spec;
  const v1::Network& network = config->network();
  spec.first = network.interfaces().empty();
  std::map<std::string, std::pair<std::string, bool>> masters;  // and is it a bond?
  for (const v1::Interface& interface : network.interfaces()) {
    spec.links.push_back(LinkOf(interface));
    for (const std::string& member : interface.bond().members()) {
      masters[member] = {interface.name(), true};
    }
    for (const std::string& member : interface.bridge().members()) {
      masters[member] = {interface.name(), false};
    }
  }
  for (LinkSpec& link : spec.links) {
    auto it = masters.find(link.name);
    if (it == masters.end()) continue;
    link.master = it->second.first;
    link.in_bond = it->second.second;
    link.accept_ra = 0;
  }
  Sort(spec.links);
  for (int i = 0; i < network.routing_rules_size(); ++i) {
    AddRule(network.routing_rules(i), i, spec);
  }
  return spec;
}

NetworkSpec ForDevices(NetworkSpec spec, const host::NetworkState& state) {
  if (!spec.first) return spec;
  for (const host::Link& link : state.links) {
    if (!link.device) continue;
    spec.links.push_back(
        {.name = OriginalName(link), .accept_ra = kTakeRa, .dhcp = {.v4 = true}, .as_found = true});
  }
  return spec;
}

std::string Text(const std::string& ip, int prefix) {
  return absl::StrCat(format::IpAddress{ip}.ToString(), "/", prefix);
}

std::string Text(const host::Route& route) {
  std::string text = route.prefix == 0 ? "default" : Text(route.to, route.prefix);
  if (route.prefix == 0 && route.v6()) text = "default (IPv6)";
  if (!route.via.empty()) absl::StrAppend(&text, " via ", format::IpAddress{route.via}.ToString());
  if (route.metric != 0 && !(route.v6() && route.metric == kIpv6Metric)) {
    absl::StrAppend(&text, " metric ", route.metric);
  }
  if (route.table != host::kMainTable) absl::StrAppend(&text, " table ", route.table);
  if (!route.source.empty()) {
    absl::StrAppend(&text, " from ", format::IpAddress{route.source}.ToString());
  }
  return text;
}

std::string Text(const host::Rule& rule) {
  std::string text;
  if (!rule.from.empty()) absl::StrAppend(&text, "from ", Text(rule.from, rule.from_prefix), " ");
  if (!rule.to.empty()) absl::StrAppend(&text, "to ", Text(rule.to, rule.to_prefix), " ");
  if (!rule.link.empty()) absl::StrAppend(&text, "in by ", rule.link, " ");
  return absl::StrCat(text, "looks at table ", rule.table, " (priority ", rule.priority,
                      rule.v6 ? ", IPv6)" : ")");
}

}  // namespace basalt::network
