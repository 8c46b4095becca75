// Ports that are used twice, and flannel.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/k3s_rules.h"

namespace basalt::validate {
namespace {

// A port and what listens there.
struct Listener {
  int port = 0;
  std::string path;  // empty: nobody wrote it
  std::string what;
  std::string host = {};  // empty: every address
};

bool Collide(const Listener& a, const Listener& b) {
  return a.port != 0 && a.port == b.port && (a.host.empty() || b.host.empty() || a.host == b.host);
}

}  // namespace

void CheckK3sPorts(const K3sFacts& facts, Report& report) {
  const int https = static_cast<int>(facts.Number("https-listen-port", 6443));
  std::vector<Listener> listeners;
  for (int i = 0; i < facts.config.api().listen_size(); ++i) {
    const auto parsed = format::ParseHostPort(facts.config.api().listen(i));
    if (!parsed.ok()) continue;
    listeners.push_back({.port = parsed->port,
                         .path = schema::Element("api.listen", i),
                         .what = "noded's own API",
                         .host = parsed->host});
  }
  if (facts.server) {
    listeners.push_back(
        {.port = https,
         .path = facts.Has("https-listen-port") ? ConfigPath("https-listen-port") : "",
         .what = "K3s (https-listen-port)",
         .host = facts.Text("bind-address")});
    listeners.push_back({https + 1,
                         facts.Has("https-listen-port") ? ConfigPath("https-listen-port") : "",
                         "the apiserver behind it (https-listen-port + 1)"});
  }
  if (facts.agent) {
    listeners.push_back({static_cast<int>(facts.Number("lb-server-port", 6444)),
                         facts.Has("lb-server-port") ? ConfigPath("lb-server-port") : "",
                         "K3s's load balancer (lb-server-port)"});
  }
  for (const auto& [port, what] :
       {std::make_pair(10250, "the kubelet"), std::make_pair(10248, "the kubelet's health"),
        std::make_pair(10249, "kube-proxy's metrics"), std::make_pair(10256, "kube-proxy's health"),
        std::make_pair(10010, "containerd")}) {
    listeners.push_back({port, "", what});
  }
  if (facts.server) {
    for (const auto& [port, what] :
         {std::make_pair(10257, "the controller manager"), std::make_pair(10259, "the scheduler"),
          std::make_pair(10258, "the cloud controller")}) {
      listeners.push_back({port, "", what});
    }
  }
  if (facts.etcd) {
    for (int port : {2379, 2380, 2381, 2382}) listeners.push_back({port, "", "etcd"});
  }
  if (facts.On("embedded-registry")) listeners.push_back({5001, "", "the embedded registry"});
  for (size_t i = 0; i < listeners.size(); ++i) {
    for (size_t j = i + 1; j < listeners.size(); ++j) {
      const Listener& a = listeners[i];
      const Listener& b = listeners[j];
      if (!Collide(a, b) || (a.path.empty() && b.path.empty())) continue;
      // Whoever stands there in writing can move.
      const Listener& blamed = b.path.empty() ? a : b;
      const Listener& other = b.path.empty() ? b : a;
      if (blamed.path == other.path) continue;
      report.Error(blamed.path, "port-conflict",
                   absl::StrCat("port ", a.port, " is that of ", other.what),
                   "choose a port that nothing else uses");
    }
  }
  const std::string range = facts.Text("service-node-port-range");
  const std::vector<absl::string_view> ends = absl::StrSplit(range, '-');
  int first = 0;
  int last = 0;
  if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &first) || !absl::SimpleAtoi(ends[1], &last)) {
    return;
  }
  for (const Listener& listener : listeners) {
    if (listener.port < first || listener.port > last) continue;
    report.Error(ConfigPath("service-node-port-range"), "port-conflict",
                 absl::StrCat("holds port ", listener.port, " of ", listener.what),
                 "a service of type NodePort could take it away");
    return;
  }
}

void CheckK3sFlannel(const K3sFacts& facts, Report& report) {
  const std::string backend = facts.Text("flannel-backend");
  if (backend == "none") {
    if (facts.k3s.manifests().empty()) {
      report.Warning(ConfigPath("flannel-backend"), "no-cni",
                     "without flannel nodes become Ready only when another CNI is installed",
                     "k3s.manifests can bring it; or install it by hand within nodeReady");
    }
    if (!facts.On("disable-network-policy")) {
      report.Warning(ConfigPath("flannel-backend"), "likely-mistake",
                     "K3s's network policies expect flannel; most CNIs bring their own",
                     "add disable-network-policy: true");
    }
    for (absl::string_view key : {"flannel-ipv6-masq", "flannel-external-ip", "flannel-iface",
                                  "flannel-conf", "flannel-cni-conf"}) {
      if (facts.Has(key)) {
        report.Warning(ConfigPath(key), "ignored", "has no meaning with flannel-backend: none",
                       "remove it");
      }
    }
  }
  if (facts.On("flannel-external-ip") && facts.k3s.node().external_ip().empty()) {
    report.Warning(ConfigPath("flannel-external-ip"), "likely-mistake",
                   "this node has no external address", "write k3s.node.externalIp");
  }
  if (facts.On("flannel-external-ip") && backend != "wireguard-native" && backend != "none") {
    report.Warning(ConfigPath("flannel-external-ip"), "insecure",
                   "packets between pods cross other networks unencrypted",
                   "flannel-backend: wireguard-native encrypts them");
  }
  if (facts.On("flannel-ipv6-masq")) {
    const auto cidrs = facts.Values("cluster-cidr");
    if (std::none_of(cidrs.begin(), cidrs.end(),
                     [](const Placed& p) { return absl::StrContains(p.value, ':'); })) {
      report.Warning(ConfigPath("flannel-ipv6-masq"), "ignored",
                     "the pods have no IPv6 network (cluster-cidr)", "remove it");
    }
  }
}

}  // namespace basalt::validate
