// Networks of the cluster: what has to fit together.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/validate/k3s_rules.h"

namespace basalt::validate {
namespace {

struct Network {
  format::Cidr cidr;
  std::string text;
  std::string path;
  bool written = false;  // else it is K3s's default
};

// Of a key of k3s.config, or its default. Values that cannot be read are reported elsewhere.
std::vector<Network> Networks(const K3sFacts& facts, absl::string_view key) {
  std::vector<Network> out;
  auto add = [&](const Placed& placed, bool written) {
    auto cidr = format::ParseCidr(placed.value);
    if (cidr.ok()) out.push_back({*std::move(cidr), placed.value, placed.path, written});
  };
  for (const Placed& placed : facts.Values(key)) {
    // More than two are an error of their own; every pair is compared, and a list may be long.
    if (out.size() == 4) break;
    add(placed, true);
  }
  if (!facts.Has(key)) {
    add({std::string(schema::FindK3sKey(key)->default_value), ConfigPath(key)}, false);
  }
  return out;
}

bool Overlap(const format::Cidr& a, const format::Cidr& b) {
  return a.prefix <= b.prefix ? a.Contains(b.network) : b.Contains(a.network);
}

const char* Family(bool v6) { return v6 ? "IPv6" : "IPv4"; }

// "IPv4,IPv6" in the order written.
std::string Families(const std::vector<Network>& networks) {
  std::string out;
  for (const Network& network : networks) {
    absl::StrAppend(&out, out.empty() ? "" : ",", Family(network.cidr.network.v6()));
  }
  return out;
}

void CheckOverlaps(const K3sFacts& facts, const std::vector<Network>& pods,
                   const std::vector<Network>& services, Report& report) {
  for (const Network& a : pods) {
    for (const Network& b : services) {
      if (!Overlap(a.cidr, b.cidr)) continue;
      const Network& blamed = b.written ? b : a;
      const Network& other = b.written ? a : b;
      report.Error(blamed.path, "overlap",
                   absl::StrCat(blamed.text, " overlaps with ",
                                b.written ? "cluster-cidr " : "service-cidr ", other.text,
                                other.written ? "" : ", which is the default"),
                   "choose networks that have no address in common");
    }
  }
  for (const auto* networks : {&pods, &services}) {
    const char* const name = networks == &pods ? "cluster-cidr" : "service-cidr";
    for (const Network& network : *networks) {
      auto inside = [&](const std::string& address, const std::string& path) {
        const auto ip = format::ParseIp(address);
        if (!ip.ok() || !network.cidr.Contains(*ip)) return;
        report.Error(path, "overlap",
                     absl::StrCat(address, " is in ", name, " ", network.text,
                                  network.written ? "" : ", which is the default"),
                     "nodes, pods and services have networks of their own");
      };
      const v1::K3sNode& node = facts.k3s.node();
      for (int i = 0; i < node.ip_size(); ++i) {
        inside(node.ip(i), schema::Element("k3s.node.ip", i));
      }
      for (int i = 0; i < node.external_ip_size(); ++i) {
        inside(node.external_ip(i), schema::Element("k3s.node.externalIp", i));
      }
      inside(facts.Text("advertise-address"), ConfigPath("advertise-address"));
      const auto subnet = format::ParseCidr(node.ip_subnet());
      if (subnet.ok() && Overlap(*subnet, network.cidr)) {
        report.Error("k3s.node.ipSubnet", "overlap",
                     absl::StrCat(node.ip_subnet(), " overlaps with ", name, " ", network.text,
                                  network.written ? "" : ", which is the default"),
                     "nodes, pods and services have networks of their own");
      }
    }
  }
}

// The controller manager gives each node a part of cluster-cidr.
void CheckSizes(const K3sFacts& facts, const std::vector<Network>& pods,
                const std::vector<Network>& services, Report& report) {
  for (const Network& network : pods) {
    const bool v6 = network.cidr.network.v6();
    int mask = v6 ? 64 : 24;
    for (const char* flag :
         {"node-cidr-mask-size", v6 ? "node-cidr-mask-size-ipv6" : "node-cidr-mask-size-ipv4"}) {
      if (const auto own = facts.Argument("kube-controller-manager-arg", flag)) {
        if (!absl::SimpleAtoi(own->value, &mask)) return;
      }
    }
    const std::string hint = absl::StrCat("kube-controller-manager-arg: [node-cidr-mask-size",
                                          v6 ? "-ipv6" : "-ipv4", "=N] says another size");
    if (network.cidr.prefix > mask) {
      report.Error(network.path, "out-of-range",
                   absl::StrCat(network.text, " is too small: each node gets a /", mask), hint);
    } else if (mask - network.cidr.prefix > 16) {
      report.Error(network.path, "out-of-range",
                   absl::StrCat(network.text, " is too large: at most 65536 times the /", mask,
                                " of a node"),
                   hint);
    }
  }
  for (const Network& network : services) {
    const bool v6 = network.cidr.network.v6();
    // From v1.33 on the apiserver keeps addresses as objects, not as a bitmap.
    if (facts.Before(33) && (v6 ? 128 : 32) - network.cidr.prefix > 20) {
      report.Error(network.path, "out-of-range",
                   absl::StrCat(network.text, " is too large: /", v6 ? 108 : 12,
                                " or smaller before v1.33"));
    } else if ((v6 ? 128 : 32) - network.cidr.prefix < 4) {
      report.Error(network.path, "out-of-range",
                   absl::StrCat(network.text, " has no room for services"));
    }
  }
}

void CheckDualStack(const K3sFacts& facts, const std::vector<Network>& pods,
                    const std::vector<Network>& services, Report& report) {
  const std::string pod_families = Families(pods);
  const std::string service_families = Families(services);
  for (const std::string& families : {pod_families, service_families}) {
    if (families == "IPv4,IPv4" || families == "IPv6,IPv6") return;  // said of the values
  }
  const bool dual = pods.size() == 2 || services.size() == 2;
  if (pod_families != service_families && !pods.empty() && !services.empty()) {
    const bool blame_services = facts.Has("service-cidr");
    report.Error(ConfigPath(blame_services ? "service-cidr" : "cluster-cidr"), "conflict",
                 absl::StrCat("the pods have ", pod_families, " and the services ",
                              service_families, facts.Has("service-cidr") ? "" : " by default"),
                 "write both keys with the same families in the same order");
    return;
  }
  const bool v6_first = !pods.empty() && pods[0].cidr.network.v6();
  if (dual && facts.Before(23) &&
      !(facts.Text("flannel-backend") == "none" && facts.On("disable-network-policy"))) {
    report.Error(ConfigPath("cluster-cidr"), "wrong-k3s-version",
                 absl::StrCat("K3s does dual stack with flannel from v1.23 on; this is ",
                              facts.k3s.version()),
                 "pin a newer release, or set flannel-backend: none and disable-network-policy: "
                 "true");
  } else if (v6_first && pods.size() == 1 && facts.Before(23)) {
    report.Error(
        ConfigPath("cluster-cidr"), "wrong-k3s-version",
        absl::StrCat("K3s runs with IPv6 alone from v1.23 on; this is ", facts.k3s.version()));
  }
  const v1::K3sNode& node = facts.k3s.node();
  // The kubelet needs an address that pods can have; another one more does no harm.
  bool fits = false;
  for (const std::string& address : node.ip()) {
    const auto ip = format::ParseIp(address);
    fits = fits || !ip.ok() || absl::StrContains(pod_families, Family(ip->v6()));
  }
  if (node.ip_size() > 0 && !fits && !pods.empty()) {
    report.Error("k3s.node.ip", "conflict",
                 absl::StrCat("is ", Family(!pods[0].cidr.network.v6()), ", and cluster-cidr is ",
                              pod_families),
                 "give pods and services a network of that family, or the node another address");
  }
  if (dual && node.ip_size() == 1) {
    report.Warning("k3s.node.ip", "likely-mistake",
                   "a cluster with IPv4 and IPv6 wants an address of each for the node",
                   "write both, or leave `ip` out");
  }
  const auto advertised = format::ParseIp(facts.Text("advertise-address"));
  if (advertised.ok() && !services.empty() && advertised->v6() != services[0].cidr.network.v6()) {
    report.Error(ConfigPath("advertise-address"), "conflict",
                 absl::StrCat("is ", Family(advertised->v6()), ", and services are ",
                              service_families, " first"),
                 "write an address of the first family");
  }
}

void CheckDns(const K3sFacts& facts, const std::vector<Network>& services, Report& report) {
  for (const Placed& placed : facts.Values("cluster-dns")) {
    const auto ip = format::ParseIp(placed.value);
    if (!ip.ok()) continue;
    const Network* network = nullptr;
    for (const Network& n : services) {
      if (n.cidr.Contains(*ip)) network = &n;
    }
    if (network == nullptr) {
      if (services.empty()) continue;
      report.Error(placed.path, "conflict",
                   absl::StrCat(placed.value, " is not in service-cidr ", services[0].text,
                                services[0].written ? "" : ", which is the default"),
                   "the name server of the cluster is a service");
      continue;
    }
    // The network itself, and its first address, which is the service `kubernetes`.
    format::IpAddress first = network->cidr.network;
    first.bytes.back() = static_cast<char>(first.bytes.back() + 1);
    if (*ip == network->cidr.network || *ip == first) {
      report.Error(placed.path, "conflict",
                   *ip == first ? "is the address of the service `kubernetes`"
                                : "is the network, not an address in it",
                   "the tenth address is the usual one");
    }
  }
}

}  // namespace

void CheckK3sNetwork(const K3sFacts& facts, Report& report) {
  if (!facts.server) return;
  const std::vector<Network> pods = Networks(facts, "cluster-cidr");
  const std::vector<Network> services = Networks(facts, "service-cidr");
  CheckOverlaps(facts, pods, services, report);
  CheckSizes(facts, pods, services, report);
  CheckDualStack(facts, pods, services, report);
  CheckDns(facts, services, report);
  const std::string domain = facts.Text("cluster-domain");
  if (domain == "local") {
    report.Warning(ConfigPath("cluster-domain"), "likely-mistake",
                   "`local` belongs to multicast DNS", "for example cluster.local");
  }
}

}  // namespace basalt::validate
