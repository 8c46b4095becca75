// Flags of Kubernetes's components (kubelet-arg and its like) and the settings of k3s.kubelet.
#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/validate/k3s_rules.h"

namespace basalt::validate {
namespace {

// A flag that something else decides, and what to use for it.
struct OwnedArgument {
  absl::string_view component;  // "kubelet-arg"
  absl::string_view name;
  absl::string_view use;  // empty: K3s sets it
};

constexpr OwnedArgument kOwned[] = {
    {"kubelet-arg", "hostname-override", "metadata.name"},
    {"kubelet-arg", "node-labels", "k3s.node.labels"},
    {"kubelet-arg", "register-with-taints", "k3s.node.taints"},
    {"kubelet-arg", "node-ip", "k3s.node.ip"},
    {"kubelet-arg", "resolv-conf", "k3s.config.resolv-conf"},
    {"kubelet-arg", "cluster-dns", "k3s.config.cluster-dns on the servers"},
    {"kubelet-arg", "cluster-domain", "k3s.config.cluster-domain on the servers"},
    {"kubelet-arg", "protect-kernel-defaults", "k3s.config.protect-kernel-defaults"},
    {"kubelet-arg", "kubeconfig", ""},
    {"kubelet-arg", "client-ca-file", ""},
    {"kubelet-arg", "container-runtime-endpoint", ""},
    {"kubelet-arg", "healthz-port", ""},
    {"kubelet-arg", "healthz-bind-address", ""},
    {"kubelet-arg", "pod-manifest-path", ""},
    {"kube-apiserver-arg", "etcd-servers", "k3s.datastore.endpoint"},
    {"kube-apiserver-arg", "service-cluster-ip-range", "k3s.config.service-cidr"},
    {"kube-apiserver-arg", "service-node-port-range", "k3s.config.service-node-port-range"},
    {"kube-apiserver-arg", "advertise-address", "k3s.config.advertise-address"},
    {"kube-apiserver-arg", "advertise-port", "k3s.config.advertise-port"},
    {"kube-apiserver-arg", "secure-port", "k3s.config.https-listen-port"},
    {"kube-apiserver-arg", "bind-address", "k3s.config.bind-address"},
    {"kube-apiserver-arg", "encryption-provider-config", "k3s.config.secrets-encryption"},
    {"kube-apiserver-arg", "egress-selector-config-file", "k3s.config.egress-selector-mode"},
    {"kube-apiserver-arg", "tls-cert-file", ""},
    {"kube-apiserver-arg", "tls-private-key-file", ""},
    {"kube-apiserver-arg", "client-ca-file", ""},
    {"kube-controller-manager-arg", "cluster-cidr", "k3s.config.cluster-cidr"},
    {"kube-controller-manager-arg", "service-cluster-ip-range", "k3s.config.service-cidr"},
    {"kube-controller-manager-arg", "kubeconfig", ""},
    {"kube-scheduler-arg", "kubeconfig", ""},
    {"kube-proxy-arg", "cluster-cidr", "k3s.config.cluster-cidr on the servers"},
    {"kube-proxy-arg", "hostname-override", "metadata.name"},
    {"kube-proxy-arg", "healthz-bind-address", ""},
    {"kube-proxy-arg", "kubeconfig", ""},
    {"etcd-arg", "data-dir", ""},
    {"etcd-arg", "name", "metadata.name"},
    {"etcd-arg", "initial-cluster", "k3s.cluster"},
    {"etcd-arg", "initial-cluster-state", "k3s.cluster"},
    {"etcd-arg", "listen-client-urls", ""},
    {"etcd-arg", "listen-peer-urls", ""},
    {"etcd-arg", "advertise-client-urls", ""},
};

// Doors that K3s keeps shut.
struct OpenDoor {
  absl::string_view component;
  absl::string_view name;
  absl::string_view value;  // "!0": anything but 0
  absl::string_view what;
};
constexpr OpenDoor kOpenDoors[] = {
    {"kubelet-arg", "anonymous-auth", "true",
     "anybody can ask the kubelet to run commands in pods"},
    {"kubelet-arg", "read-only-port", "!0", "anybody can read all pods from the kubelet"},
    {"kubelet-arg", "authorization-mode", "AlwaysAllow", "the kubelet obeys whoever has a name"},
    {"kube-apiserver-arg", "anonymous-auth", "true", "the apiserver answers without credentials"},
    {"kube-apiserver-arg", "authorization-mode", "AlwaysAllow", "every user is an administrator"},
};

bool Matches(absl::string_view text, const RE2& pattern) {
  return RE2::FullMatch(re2::StringPiece(text.data(), text.size()), pattern);
}

bool IsCpu(absl::string_view text) {
  static const RE2* const kCpu = new RE2("[0-9]+m?|[0-9]*\\.[0-9]+");
  return Matches(text, *kCpu);
}
bool IsBytes(absl::string_view text) {
  static const RE2* const kBytes = new RE2("[0-9]+(\\.[0-9]+)?([KMGT]i|[kMGT])?");
  return Matches(text, *kBytes);
}

// "" when it is fine.
std::string WrongResource(absl::string_view name, absl::string_view amount) {
  if (name == "cpu") return IsCpu(amount) ? "" : "not an amount of CPU: 200m, 0.5 or 2";
  if (name == "pid") {
    int64_t number = 0;
    return absl::SimpleAtoi(amount, &number) && number >= 0 ? "" : "not a number of processes";
  }
  if (name == "memory" || name == "ephemeral-storage") {
    return IsBytes(amount) ? "" : "not an amount of bytes: 512Mi, 1Gi";
  }
  return absl::StrCat("nothing that can be reserved: cpu, memory, ephemeral-storage, pid");
}

constexpr absl::string_view kSignals[] = {
    "memory.available",   "nodefs.available",      "nodefs.inodesFree",      "imagefs.available",
    "imagefs.inodesFree", "containerfs.available", "containerfs.inodesFree", "pid.available"};

std::string WrongThreshold(absl::string_view signal, absl::string_view amount) {
  if (std::find(std::begin(kSignals), std::end(kSignals), signal) == std::end(kSignals)) {
    const std::string near = schema::Nearest(signal, {std::begin(kSignals), std::end(kSignals)});
    return absl::StrCat(
        "no signal of the kubelet; ",
        near.empty() ? absl::StrJoin(kSignals, ", ") : absl::StrCat("did you mean `", near, "`?"));
  }
  absl::string_view percent = amount;
  double number = 0;
  if (absl::ConsumeSuffix(&percent, "%")) {
    return absl::SimpleAtod(percent, &number) && number > 0 && number < 100
               ? ""
               : "not a percentage between 0 and 100";
  }
  return IsBytes(amount) ? "" : "neither bytes nor a percentage: 100Mi, 5%";
}

// The values of flags that people use: "cpu=200m,memory=1Gi", "memory.available<100Mi".
std::string WrongValue(absl::string_view component, absl::string_view name,
                       absl::string_view value) {
  int64_t number = 0;
  if (component == "kubelet-arg") {
    for (absl::string_view integer : {"max-pods", "image-gc-high-threshold", "pod-max-pids",
                                      "image-gc-low-threshold", "container-log-max-files"}) {
      if (name == integer && !absl::SimpleAtoi(value, &number)) return "not a number";
    }
    const bool reserved = name == "system-reserved" || name == "kube-reserved";
    const bool eviction = name == "eviction-hard" || name == "eviction-soft";
    for (absl::string_view part : absl::StrSplit(value, ',', absl::SkipEmpty())) {
      if (!reserved && !eviction) break;
      const std::vector<absl::string_view> pair = absl::StrSplit(part, reserved ? '=' : '<');
      if (pair.size() != 2) {
        return absl::StrCat("not of the form ",
                            reserved ? "NAME=AMOUNT,NAME=AMOUNT" : "SIGNAL<AMOUNT,SIGNAL<AMOUNT");
      }
      const std::string wrong =
          reserved ? WrongResource(pair[0], pair[1]) : WrongThreshold(pair[0], pair[1]);
      if (!wrong.empty()) return absl::StrCat("`", pair[0].substr(0, 40), "`: ", wrong);
    }
  }
  if (component == "kube-proxy-arg" && name == "proxy-mode" && value != "iptables" &&
      value != "ipvs" && value != "nftables") {
    return "not one of iptables, ipvs, nftables";
  }
  if (name == "feature-gates") {
    static const RE2* const kGate = new RE2("[A-Za-z0-9]+=(true|false)");
    for (absl::string_view gate : absl::StrSplit(value, ',')) {
      if (!Matches(gate, *kGate)) return "not of the form NAME=true,NAME=false";
    }
  }
  if (name == "v" && !absl::SimpleAtoi(value, &number)) return "not a number";
  return "";
}

void CheckArgument(absl::string_view component, const Placed& argument, const K3sFacts& facts,
                   Report& report) {
  static const RE2* const kTwo = new RE2("(--)?[a-z0-9-]+=[^ ]* +(--)?[a-z][a-z0-9-]*=.*");
  // K3s itself understands NAME+=VALUE and NAME-=VALUE: add to its own value, take from it.
  static const RE2* const kForm = new RE2("([a-z][a-z0-9.-]*[a-z0-9]|[a-z])[+-]?(=(?s:.*))?");
  const std::string& text = argument.value;
  if (RE2::FullMatch(text, *kTwo)) {
    return report.Error(argument.path, "two-arguments", "these look like two arguments in one text",
                        "write a list: [NAME=VALUE, NAME=VALUE]");
  }
  if (absl::StartsWith(text, "-")) {
    const absl::string_view bare =
        absl::string_view(text).substr(std::min(text.find_first_not_of('-'), text.size()));
    return report.Error(argument.path, "bad-argument", "flags are written without dashes in front",
                        absl::StrCat("write ", bare.substr(0, 40), bare.size() > 40 ? "..." : ""));
  }
  if (!RE2::FullMatch(text, *kForm)) {
    return report.Error(argument.path, "bad-argument", "not a flag: NAME=VALUE, in lower case",
                        "for example v=4");
  }
  std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  absl::string_view name = parts.first;
  const bool changes = absl::ConsumeSuffix(&name, "+") || absl::ConsumeSuffix(&name, "-");
  const absl::string_view value = parts.second;
  for (const OwnedArgument& owned : kOwned) {
    if (owned.component != component || owned.name != name) continue;
    return report.Error(argument.path, "owned-argument",
                        owned.use.empty() ? absl::StrCat("K3s and noded decide `", name, "`")
                                          : absl::StrCat("`", name, "` has a field of its own"),
                        owned.use.empty() ? "remove it" : absl::StrCat("use ", owned.use));
  }
  if (changes) return;
  for (const OpenDoor& door : kOpenDoors) {
    if (door.component != component || door.name != name) continue;
    const bool open = door.value == "!0" ? value != "0" : absl::StrContains(value, door.value);
    if (!open) continue;
    if (facts.k3s.has_hardening()) {
      report.Error(argument.path, "conflict", absl::StrCat("undoes k3s.hardening: ", door.what),
                   "remove it");
    } else {
      report.Warning(argument.path, "insecure", door.what, "remove it");
    }
    return;
  }
  const std::string wrong = WrongValue(component, name, value);
  if (!wrong.empty()) {
    report.Error(argument.path, "bad-argument", absl::StrCat("`", name, "`: ", wrong));
  }
}

using StringMap = std::map<std::string, std::string>;

template <typename Map>
StringMap Sorted(const Map& map) {
  return StringMap(map.begin(), map.end());
}

}  // namespace

void CheckK3sArguments(const K3sFacts& facts, Report& report) {
  for (const schema::K3sKey& key : schema::K3sKeys()) {
    if (key.format != schema::K3sKeyFormat::kArgument) continue;
    for (const Placed& argument : facts.Arguments(key.name)) {
      CheckArgument(key.name, argument, facts, report);
    }
  }
}

void CheckK3sKubelet(const K3sFacts& facts, Report& report) {
  const v1::K3sKubelet& kubelet = facts.k3s.kubelet();
  for (const auto& [map, name] : {std::make_pair(&kubelet.system_reserved(), "systemReserved"),
                                  std::make_pair(&kubelet.kube_reserved(), "kubeReserved"),
                                  std::make_pair(&kubelet.eviction_hard(), "evictionHard")}) {
    const bool eviction = map == &kubelet.eviction_hard();
    for (const auto& [key, amount] : Sorted(*map)) {
      const std::string wrong = eviction ? WrongThreshold(key, amount) : WrongResource(key, amount);
      if (wrong.empty()) continue;
      report.Error(schema::Element(absl::StrCat("k3s.kubelet.", name), key), "bad-format", wrong);
    }
  }
  const StringMap eviction = Sorted(kubelet.eviction_hard());
  if (!eviction.empty() &&
      (eviction.count("memory.available") == 0 || eviction.count("nodefs.available") == 0)) {
    report.Warning("k3s.kubelet.evictionHard", "likely-mistake",
                   "signals that are not named have no threshold at all then",
                   "name memory.available and nodefs.available at least");
  }
  if (kubelet.has_image_gc_high_percent() && kubelet.has_image_gc_low_percent() &&
      kubelet.image_gc_low_percent() >= kubelet.image_gc_high_percent()) {
    report.Error("k3s.kubelet.imageGcLowPercent", "conflict",
                 "must be less than imageGcHighPercent: images are removed down to it");
  }
  // Twice is a matter of order, which nobody sees.
  const std::pair<bool, std::pair<absl::string_view, absl::string_view>> kSame[] = {
      {kubelet.has_max_pods(), {"max-pods", "maxPods"}},
      {!kubelet.system_reserved().empty(), {"system-reserved", "systemReserved"}},
      {!kubelet.kube_reserved().empty(), {"kube-reserved", "kubeReserved"}},
      {!kubelet.eviction_hard().empty(), {"eviction-hard", "evictionHard"}},
      {kubelet.has_container_log_max_size(), {"container-log-max-size", "containerLogMaxSize"}},
      {kubelet.has_container_log_max_files(), {"container-log-max-files", "containerLogMaxFiles"}},
      {kubelet.has_image_gc_high_percent(), {"image-gc-high-threshold", "imageGcHighPercent"}},
      {kubelet.has_image_gc_low_percent(), {"image-gc-low-threshold", "imageGcLowPercent"}},
  };
  for (const auto& [set, names] : kSame) {
    const auto argument = facts.Argument("kubelet-arg", names.first);
    if (set && argument) {
      report.Error(argument->path, "conflict",
                   absl::StrCat("k3s.kubelet.", names.second, " says the same"),
                   "keep one of the two");
    }
  }
}

}  // namespace basalt::validate
