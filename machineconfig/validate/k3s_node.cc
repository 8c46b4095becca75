// The Kubernetes node: addresses, labels, taints; and the environment of K3s.
#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "machineconfig/format/time.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/k3s_rules.h"

namespace basalt::validate {
namespace {

// Within kubernetes.io and k8s.io the kubelet sets these itself.
constexpr absl::string_view kSetByKubelet[] = {"kubernetes.io/hostname", "kubernetes.io/os",
                                               "kubernetes.io/arch"};
// And takes these from its flags; with any other one it does not start.
constexpr absl::string_view kTakenByKubelet[] = {"node.kubernetes.io/instance-type",
                                                 "beta.kubernetes.io/instance-type",
                                                 "topology.kubernetes.io/zone",
                                                 "topology.kubernetes.io/region",
                                                 "failure-domain.beta.kubernetes.io/zone",
                                                 "failure-domain.beta.kubernetes.io/region",
                                                 "beta.kubernetes.io/os",
                                                 "beta.kubernetes.io/arch"};

bool IsOf(absl::string_view domain, absl::string_view of) {
  return domain == of || absl::EndsWith(domain, absl::StrCat(".", of));
}

template <typename List>
bool Holds(const List& list, absl::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

void CheckLabels(const v1::K3sNode& node, Report& report) {
  const std::map<std::string, std::string> labels(node.labels().begin(), node.labels().end());
  for (const auto& [key, value] : labels) {
    const std::string path = schema::Element("k3s.node.labels", key);
    const size_t slash = key.find('/');
    const absl::string_view domain =
        slash == std::string::npos ? "" : absl::string_view(key).substr(0, slash);
    if (Holds(kSetByKubelet, key)) {
      report.Error(path, "reserved-name", "the kubelet sets this label itself", "remove it");
    } else if (IsOf(domain, "node-role.kubernetes.io")) {
      report.Error(path, "reserved-name", "the kubelet does not start with a role among its labels",
                   absl::StrCat("label the Node by hand: kubectl label node ", key, "=", value));
    } else if ((IsOf(domain, "kubernetes.io") || IsOf(domain, "k8s.io")) &&
               !IsOf(domain, "kubelet.kubernetes.io") && !IsOf(domain, "node.kubernetes.io") &&
               !Holds(kTakenByKubelet, key)) {
      report.Error(path, "reserved-name",
                   "the kubelet does not start with labels of kubernetes.io and k8s.io that it "
                   "does not know",
                   "use a domain of your own");
    }
  }
}

void CheckTaints(const v1::K3sNode& node, Report& report) {
  std::map<std::string, std::string> seen;  // KEY:EFFECT → taint
  for (int i = 0; i < node.taints_size(); ++i) {
    const std::string& taint = node.taints(i);
    const size_t colon = taint.rfind(':');
    if (colon == std::string::npos) continue;
    const std::string path = schema::Element("k3s.node.taints", i);
    const std::string key = taint.substr(0, std::min(taint.find('='), colon));
    const auto [first, fresh] = seen.try_emplace(absl::StrCat(key, taint.substr(colon)), taint);
    if (!fresh && first->second != taint) {
      report.Error(
          path, "conflict",
          absl::StrCat("a second value for the same key and effect; the first is ", first->second),
          "keep one of the two");
    }
    if (absl::StartsWith(key, "node.kubernetes.io/")) {
      report.Warning(path, "likely-mistake",
                     "Kubernetes sets and removes the taints of node.kubernetes.io itself",
                     "use a key of your own");
    }
  }
}

// A variable that K3s or noded reads, and the field to use instead; empty: there is none.
struct OwnedVariable {
  absl::string_view name;  // a trailing * stands for any rest
  absl::string_view use;
  absl::string_view why;
};
constexpr absl::string_view kNoded = "noded itself sets or forbids this variable";
constexpr absl::string_view kFlag = "K3s reads a flag from it, past the checks of its field";
constexpr OwnedVariable kOwned[] = {
    {"NOTIFY_SOCKET", "", kNoded},
    {"INVOCATION_ID", "", kNoded},
    {"WATCHDOG_*", "", kNoded},
    {"PATH", "", kNoded},
    {"HOME", "", kNoded},
    {"LISTEN_*", "", kNoded},
    {"LD_*", "", kNoded},
    {"K3S_CONFIG_FILE", "", kNoded},
    {"K3S_DATA_DIR", "", kNoded},
    {"K3S_KUBECONFIG_*", "", kNoded},
    {"K3S_ROOTLESS*", "", kNoded},
    {"_K3S_LOG_REEXEC_", "", kNoded},
    {"K3S_CLUSTER_RESET", "", "resetting a cluster is a signed action"},
    {"K3S_URL", "k3s.cluster.server", kFlag},
    {"K3S_TOKEN*", "k3s.token", kFlag},
    {"K3S_CLUSTER_SECRET", "k3s.token", kFlag},
    {"K3S_AGENT_TOKEN*", "k3s.agentToken", kFlag},
    {"K3S_CLUSTER_INIT", "k3s.cluster.init", kFlag},
    {"K3S_CLUSTER_*", "k3s.cluster", kFlag},
    {"K3S_DATASTORE_*", "k3s.datastore", kFlag},
    {"K3S_NODE_NAME", "metadata.name", kFlag},
    {"K3S_DEBUG", "k3s.config.debug", kFlag},
    {"K3S_SELINUX", "k3s.config.selinux", kFlag},
    {"K3S_RESOLV_CONF", "k3s.config.resolv-conf", kFlag},
    {"K3S_LB_SERVER_PORT", "k3s.config.lb-server-port", kFlag},
    {"K3S_SYSTEM_DEFAULT_REGISTRY", "k3s.config.system-default-registry", kFlag},
    {"K3S_VPN_AUTH*", "", "it needs the program tailscale, which a node does not have"},
    {"AWS_ACCESS_KEY_ID", "k3s.snapshots.s3.accessKey", "plans show the environment"},
    {"AWS_SECRET_ACCESS_KEY", "k3s.snapshots.s3.secretKey", "plans show the environment"},
    {"AWS_SESSION_TOKEN", "k3s.snapshots.s3.sessionToken", "plans show the environment"},
    {"INSTALL_K3S_*", "", "only the install script of K3s reads it"},
};

bool Matches(absl::string_view name, absl::string_view pattern) {
  return absl::ConsumeSuffix(&pattern, "*") ? absl::StartsWith(name, pattern) : name == pattern;
}

void CheckVariable(const v1::EnvVar& variable, Report& report) {
  const std::string path = schema::Element("k3s.env", variable.name());
  for (const OwnedVariable& owned : kOwned) {
    if (!Matches(variable.name(), owned.name)) continue;
    return report.Error(schema::Child(path, "name"), "reserved-name", owned.why,
                        owned.use.empty() ? "remove it" : absl::StrCat("use ", owned.use));
  }
  const std::string value_path = schema::Child(path, "value");
  static const RE2* const kMemLimit = new RE2("off|[0-9]+(B|[KMGT]iB)?");
  if (variable.name() == "GOMEMLIMIT" && !RE2::FullMatch(variable.value(), *kMemLimit)) {
    report.Error(value_path, "bad-format", "K3s ends at once with a GOMEMLIMIT like this",
                 "a number with KiB, MiB or GiB, such as 1536MiB");
  }
  static const RE2* const kPercent = new RE2("off|[0-9]+");
  if (variable.name() == "GOGC" && !RE2::FullMatch(variable.value(), *kPercent)) {
    report.Error(value_path, "bad-format", "not a percentage: a whole number, or off",
                 "for example \"50\"");
  }
  static const RE2* const kUserInfo = new RE2("[a-zA-Z]+://[^/@]*:[^/@]*@.*");
  static const RE2* const kSecretName =
      new RE2("(?i).*(PASSWORD|PASSWD|SECRET|TOKEN|APIKEY|API_KEY).*");
  if (RE2::FullMatch(variable.value(), *kUserInfo) ||
      RE2::FullMatch(variable.name(), *kSecretName)) {
    report.Warning(value_path, "shown-secret",
                   "looks like a password, and plans, diffs and exports show the environment",
                   "leave it out of the environment");
  }
  const std::string lower = absl::AsciiStrToLower(variable.name());
  if (lower == "http_proxy" || lower == "https_proxy") {
    static const RE2* const kProxy = new RE2("(https?|socks5h?)://.+");
    if (!variable.value().empty() && !RE2::FullMatch(variable.value(), *kProxy)) {
      report.Warning(value_path, "likely-mistake", "a proxy is a URL",
                     "for example http://proxy.example.org:3128");
    }
  }
}

}  // namespace

void CheckK3sNode(const K3sFacts& facts, Report& report) {
  const v1::K3sNode& node = facts.k3s.node();
  if (node.ip_size() > 0 && node.has_ip_subnet()) {
    report.Error("k3s.node.ipSubnet", "conflict", "`ip` and `ipSubnet` exclude each other",
                 "keep one of the two");
  }
  for (const auto& [list, name] : {std::make_pair(&node.ip(), "k3s.node.ip"),
                                   std::make_pair(&node.external_ip(), "k3s.node.externalIp")}) {
    for (int i = 0; i < list->size(); ++i) {
      const auto ip = format::ParseIp((*list)[i]);
      if (!ip.ok()) continue;
      const unsigned char head = ip->bytes[0];
      const bool any = ip->bytes.find_first_not_of('\0') == std::string::npos;
      const bool multicast = ip->v6() ? head == 0xff : (head >= 224 && head < 240);
      if (any || multicast) {
        report.Error(schema::Element(name, i), "bad-format",
                     any ? "is no address of a node" : "is a multicast address",
                     "write the address under which other nodes reach this one");
      }
    }
    if (list->size() != 2) continue;
    const auto a = format::ParseIp((*list)[0]);
    const auto b = format::ParseIp((*list)[1]);
    if (a.ok() && b.ok() && a->v6() == b->v6()) {
      report.Error(name, "conflict",
                   "two addresses of one family; at most one IPv4 and one IPv6 address");
    }
  }
  CheckLabels(node, report);
  CheckTaints(node, report);
}

void CheckK3sHealth(const K3sFacts& facts, Report& report) {
  const v1::K3sHealth& health = facts.k3s.health();
  const auto readyz = format::ParseDuration(health.has_readyz() ? health.readyz() : "120s");
  const auto node_ready =
      format::ParseDuration(health.has_node_ready() ? health.node_ready() : "300s");
  if (facts.server && readyz.ok() && node_ready.ok() && *node_ready < *readyz) {
    report.Warning(health.has_node_ready() ? "k3s.health.nodeReady" : "k3s.health.readyz",
                   "likely-mistake",
                   "a node is Ready only after its server answers /readyz, which may take longer",
                   "nodeReady is at least readyz");
  }
}

void CheckK3sEnv(const K3sFacts& facts, Report& report) {
  for (const v1::EnvVar& variable : facts.k3s.env()) CheckVariable(variable, report);
}

}  // namespace basalt::validate
