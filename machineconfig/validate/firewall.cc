// Rules for `network.firewall`: above all that nobody locks himself out.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/network_rules.h"

namespace basalt::validate {
namespace {

constexpr int kApiPort = 6050;

bool Covers(const v1::FirewallRule& rule, absl::string_view protocol, int port) {
  if (rule.has_protocol() && rule.protocol() != protocol) return false;
  if (rule.ports().empty()) return true;
  return std::any_of(rule.ports().begin(), rule.ports().end(), [port](const std::string& text) {
    const auto ports = format::ParsePorts(text);
    return ports.ok() && ports->first <= port && port <= ports->last;
  });
}

// Can anybody at all connect?
bool Open(const v1::Firewall& firewall, absl::string_view protocol, int port) {
  bool open = firewall.policy() == v1::FIREWALL_ACTION_ACCEPT;
  for (const v1::FirewallRule& rule : firewall.rules()) {
    if (!Covers(rule, protocol, port)) continue;
    if (rule.action() != v1::FIREWALL_ACTION_DROP) {
      open = true;
    } else if (rule.from().empty() && rule.interfaces().empty()) {
      return false;
    }
  }
  return open;
}

bool MayBeClosed(const v1::Firewall& firewall, absl::string_view word) {
  return std::find(firewall.closed().begin(), firewall.closed().end(), word) !=
         firewall.closed().end();
}

std::vector<int> ApiPorts(const v1::Api& api) {
  std::vector<int> out;
  for (const std::string& listen : api.listen()) {
    if (const auto at = format::ParseHostPort(listen); at.ok()) out.push_back(at->port);
  }
  if (api.listen().empty()) out.push_back(kApiPort);
  return out;
}

std::string ConfigText(const v1::K3s& k3s, const char* key, absl::string_view otherwise) {
  auto it = k3s.config().find(key);
  if (it == k3s.config().end()) return std::string(otherwise);
  return it->second.has_integer() ? absl::StrCat(it->second.integer()) : it->second.text();
}

struct Need {
  const char* protocol;
  int port;
  const char* what;
};

// What other nodes of the cluster connect to.
std::vector<Need> NeedsOf(const v1::K3s& k3s) {
  std::vector<Need> out = {{"tcp", 10250, "kubelet"}};
  if (k3s.role() == v1::K3S_ROLE_SERVER) {
    int port = 0;
    if (!absl::SimpleAtoi(ConfigText(k3s, "https-listen-port", "6443"), &port)) port = 6443;
    out.push_back({"tcp", port, "Kubernetes API"});
    if (k3s.cluster().init() || k3s.cluster().has_server()) {
      out.push_back({"tcp", 2379, "etcd"});
      out.push_back({"tcp", 2380, "etcd"});
    }
  }
  const std::string backend = ConfigText(k3s, "flannel-backend", "vxlan");
  if (backend == "vxlan") out.push_back({"udp", 8472, "flannel"});
  if (backend == "wireguard-native") out.push_back({"udp", 51820, "flannel"});
  return out;
}

void CheckLockOut(const v1::MachineConfig& config, Report& report) {
  const v1::Firewall& firewall = config.network().firewall();
  if (!MayBeClosed(firewall, "api")) {
    for (int port : ApiPorts(config.api())) {
      if (Open(firewall, "tcp", port)) continue;
      report.Error("network.firewall.rules", "lock-out",
                   absl::StrCat("nobody could reach the API of this node at tcp ", port,
                                ", not even to correct this"),
                   absl::StrCat("add {name: node-api, protocol: tcp, ports: [", port,
                                "], from: [YOUR NETWORK]}; if it is meant, closed: [api]"));
    }
  }
  if (!config.has_k3s() || MayBeClosed(firewall, "k3s")) return;
  std::vector<std::string> shut;
  for (const Need& need : NeedsOf(config.k3s())) {
    // What its servers use an agent does not know: one of the two is enough.
    const bool other = config.k3s().role() == v1::K3S_ROLE_AGENT && need.port == 8472 &&
                       Open(firewall, "udp", 51820);
    if (!other && !Open(firewall, need.protocol, need.port)) {
      shut.push_back(absl::StrCat(need.protocol, " ", need.port, " (", need.what, ")"));
    }
  }
  if (shut.empty()) return;
  report.Warning(
      "network.firewall.rules", "lock-out",
      absl::StrCat("no rule accepts ", absl::StrJoin(shut, ", "),
                   ": other nodes of the cluster need it"),
      "accept them from the network of the nodes; on a cluster of one node, closed: [k3s]");
}

}  // namespace

void CheckFirewall(const v1::MachineConfig& config, const Interfaces& interfaces, Report& report) {
  const v1::Firewall& firewall = config.network().firewall();
  const std::vector<std::string> paths = Elements("network.firewall", firewall, "rules");
  for (int k = 0; k < firewall.rules_size(); ++k) {
    const v1::FirewallRule& rule = firewall.rules(k);
    const std::string& path = paths[k];
    if (rule.ports_size() > 0 && rule.protocol() != "tcp" && rule.protocol() != "udp") {
      report.Error(schema::Child(path, "ports"), "conflict",
                   rule.has_protocol() ? absl::StrCat(rule.protocol(), " has no ports")
                                       : "ports belong to tcp or udp, and the rule says neither",
                   rule.has_protocol() ? "remove one of the two" : "protocol: tcp");
    }
    for (int i = 0; i < rule.from_size(); ++i) {
      const auto from = format::ParseCidr(rule.from(i));
      const bool other = from.ok() && ((rule.protocol() == "icmp" && from->network.v6()) ||
                                       (rule.protocol() == "icmpv6" && !from->network.v6()));
      if (other) {
        report.Error(schema::Element(schema::Child(path, "from"), i), "conflict",
                     absl::StrCat(rule.protocol(), " is not spoken in this network"),
                     "icmp is for IPv4, icmpv6 for IPv6");
      }
    }
    for (int i = 0; i < rule.interfaces_size(); ++i) {
      const std::string hint = interfaces.Unknown(rule.interfaces(i));
      if (hint.empty()) continue;
      report.Error(schema::Element(schema::Child(path, "interfaces"), i), "unknown-interface",
                   absl::StrCat("no interface `", rule.interfaces(i), "` in network.interfaces"),
                   hint);
    }
    const bool everything = rule.from().empty() && rule.interfaces().empty() &&
                            !rule.has_protocol() && rule.ports().empty();
    if (everything) {
      const bool drop = rule.action() == v1::FIREWALL_ACTION_DROP;
      report.Warning(
          path, "catch-all",
          absl::StrCat("is about every connection: ",
                       drop ? "everything is dropped" : "no other rule matters"),
          "say from, interfaces, protocol or ports; what no rule is about is decided by `policy`");
    }
  }
  if (firewall.has_policy()) CheckLockOut(config, report);
  for (const v1::Interface& interface : config.network().interfaces()) {
    const int64_t port = interface.wireguard().listen_port();
    if (port == 0 || Open(firewall, "udp", static_cast<int>(port))) continue;
    report.Warning(
        "network.firewall.rules", "lock-out",
        absl::StrCat("no rule accepts udp ", port, ", at which `", interface.name(), "` listens"),
        absl::StrCat("add {name: wireguard, protocol: udp, ports: [", port, "]}"));
  }
}

}  // namespace basalt::validate
