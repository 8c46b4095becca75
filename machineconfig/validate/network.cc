// Rules for `network`: here those about names; links, addresses and the firewall have files of
// their own.
#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/network_rules.h"
#include "machineconfig/validate/rules.h"

namespace basalt::validate {
namespace {

// K3s takes one of each family for pods and for services.
constexpr size_t kMostClusterNetworks = 8;

bool Asks(const v1::Interface& interface) { return interface.dhcp4() || interface.dhcp6(); }

void CheckDns(const v1::Network& network, Report& report) {
  for (int i = 0; i < network.dns().servers_size(); ++i) {
    const auto ip = format::ParseIp(network.dns().servers(i));
    if (!ip.ok()) continue;
    const bool loopback = ip->v6() ? ip->ToString() == "::1" : ip->bytes[0] == 127;
    if (!loopback) continue;
    report.Error(schema::Element("network.dns.servers", i), "loopback",
                 "is this node itself, which serves no names; pods would ask themselves",
                 "the address of a DNS server: mostly that of the router");
  }
  const auto& interfaces = network.interfaces();
  const bool all_static =
      !interfaces.empty() && std::none_of(interfaces.begin(), interfaces.end(), Asks);
  if (all_static && network.dns().servers().empty()) {
    report.Warning("network.dns", "no-dns",
                   "no interface asks for addresses and no DNS server is named: names cannot be "
                   "resolved",
                   "network.dns.servers: [192.168.1.1], or dhcp4: true on an interface");
  }
}

void CheckHosts(const v1::MachineConfig& config, Report& report) {
  std::map<std::pair<std::string, bool>, std::string> seen;  // name and family → path of its entry
  const std::vector<std::string> paths = Elements("network", config.network(), "hosts");
  for (int k = 0; k < config.network().hosts_size(); ++k) {
    const v1::HostEntry& entry = config.network().hosts(k);
    const std::string& path = paths[k];
    const auto ip = format::ParseIp(entry.ip());
    if (!ip.ok()) continue;
    for (int i = 0; i < entry.names_size(); ++i) {
      const std::string& name = entry.names(i);
      const std::string here = schema::Element(schema::Child(path, "names"), i);
      if (name == "localhost" || name == config.metadata().name()) {
        report.Error(here, "reserved-name", "noded itself writes the entry of this name",
                     "remove it");
        continue;
      }
      auto [it, fresh] = seen.try_emplace({name, ip->v6()}, path);
      if (!fresh && it->second != path) {
        report.Error(here, "conflict",
                     absl::StrCat("`", name, "` has an address already, in ", it->second,
                                  "; only the first is looked at"),
                     "keep one of the two");
      }
    }
  }
}

// What K3s's own network asks of the interfaces.
void CheckFlannel(const v1::MachineConfig& config, const Interfaces& interfaces, Report& report) {
  const auto& keys = config.k3s().config();
  if (auto it = keys.find("flannel-iface"); it != keys.end()) {
    if (std::string hint = interfaces.Unknown(it->second.text()); !hint.empty()) {
      report.Error("k3s.config[flannel-iface]", "unknown-interface",
                   absl::StrCat("no interface `", it->second.text().substr(0, 64),
                                "` in network.interfaces"),
                   hint);
    }
  }
  auto backend = keys.find("flannel-backend");
  if (backend == keys.end() || backend->second.text() != "wireguard-native") return;
  for (int i = 0; i < interfaces.size(); ++i) {
    const int64_t port = interfaces.at(i).wireguard().listen_port();
    if (port != 51820 && port != 51821) continue;
    report.Error(
        schema::Child(interfaces.paths[i], "wireguard.listenPort"), "conflict",
        absl::StrCat("flannel listens at udp ", port, " with flannel-backend: wireguard-native"),
        "another port, such as 51900");
  }
}

void CheckRoutingRules(const Interfaces& interfaces, Report& report) {
  std::set<int64_t> tables;
  for (const v1::Interface& interface : interfaces.network.interfaces()) {
    for (const v1::Route& route : interface.routes()) {
      if (route.has_table()) tables.insert(route.table());
    }
  }
  for (int i = 0; i < interfaces.network.routing_rules_size(); ++i) {
    const v1::RoutingRule& rule = interfaces.network.routing_rules(i);
    const std::string path = schema::Element("network.routingRules", i);
    if (!rule.has_from() && !rule.has_to() && !rule.has_from_interface()) {
      report.Error(path, "required", "does not say which packets it is about",
                   "from, to or fromInterface");
    }
    if (std::string hint = interfaces.Unknown(rule.from_interface());
        rule.has_from_interface() && !hint.empty()) {
      report.Error(schema::Child(path, "fromInterface"), "unknown-interface",
                   absl::StrCat("no interface `", rule.from_interface(), "` in network.interfaces"),
                   hint);
    }
    // 253 to 255 are the kernel's own: default, main, local.
    if (rule.has_table() && !tables.count(rule.table()) &&
        (rule.table() < 253 || rule.table() > 255)) {
      report.Error(schema::Child(path, "table"), "unknown-table",
                   absl::StrCat("no route is in table ", rule.table()),
                   tables.empty()
                       ? "give the routes that belong there `table`"
                       : absl::StrCat("tables of routes: ", absl::StrJoin(tables, ", ")));
    }
  }
}

}  // namespace

Interfaces::Interfaces(const v1::Network& of) : network(of) {
  paths = Elements("network", network, "interfaces");
  for (int i = 0; i < network.interfaces_size(); ++i) {
    by_name.emplace(network.interfaces(i).name(), i);
  }
}

std::string Interfaces::Near(absl::string_view name) const {
  // eth0 and eth1 are two devices, not one that was misspelt.
  auto without_digits = [](absl::string_view text) {
    std::string out(text);
    out.erase(std::remove_if(out.begin(), out.end(), absl::ascii_isdigit), out.end());
    return out;
  };
  std::vector<absl::string_view> names;
  for (const auto& [known, index] : by_name) {
    if (without_digits(known) != without_digits(name)) names.push_back(known);
  }
  return schema::Nearest(name, names);
}

std::string Interfaces::Unknown(const std::string& name) const {
  if (by_name.empty() || by_name.count(name) > 0) return "";
  std::vector<absl::string_view> names;
  for (const auto& [known, index] : by_name) names.push_back(known);
  const std::string near = Near(name);
  return near.empty() ? absl::StrCat("one of ", absl::StrJoin(names, ", "))
                      : absl::StrCat("did you mean `", near, "`?");
}

bool Overlap(const format::Cidr& a, const format::Cidr& b) {
  return a.prefix <= b.prefix ? a.Contains(b.network) : b.Contains(a.network);
}

std::string Text(const format::Cidr& cidr) {
  return absl::StrCat(cidr.network.ToString(), "/", cidr.prefix);
}

std::vector<ClusterNetwork> ClusterNetworks(const v1::K3s& k3s) {
  std::vector<ClusterNetwork> out;
  auto add = [&](const char* key, const char* what, absl::string_view otherwise) {
    std::vector<std::string> texts{std::string(otherwise)};
    if (auto it = k3s.config().find(key); it != k3s.config().end()) {
      texts.clear();
      if (it->second.has_list()) {
        texts.assign(it->second.list().values().begin(), it->second.list().values().end());
      } else {
        texts.push_back(it->second.text());
      }
    }
    for (const std::string& text : texts) {
      for (absl::string_view part : absl::StrSplit(text, ',')) {
        auto cidr = format::ParseCidr(part);
        if (cidr.ok() && out.size() < kMostClusterNetworks) out.push_back({*cidr, what, key});
      }
    }
  };
  add("cluster-cidr", "pods", "10.42.0.0/16");
  add("service-cidr", "services", "10.43.0.0/16");
  return out;
}

void CheckNetwork(const v1::MachineConfig& config, Report& report) {
  const Interfaces interfaces(config.network());
  CheckLinks(interfaces, report);
  CheckAddresses(config, interfaces, report);
  CheckRoutingRules(interfaces, report);
  CheckDns(config.network(), report);
  CheckHosts(config, report);
  CheckFlannel(config, interfaces, report);
  if (config.network().has_firewall()) CheckFirewall(config, interfaces, report);
}

}  // namespace basalt::validate
