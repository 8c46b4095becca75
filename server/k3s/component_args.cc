#include "server/k3s/component_args.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/k3s/yaml_text.h"

namespace basalt::k3s {
namespace {

using Args = std::map<std::string, std::vector<std::string>>;

// The kubelet's default is below /usr, which is read-only here.
constexpr char kVolumePlugins[] = "volume-plugin-dir=/var/lib/kubelet/volumeplugins";
// Forward secrecy and authenticated encryption alone.
constexpr char kCiphers[] =
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,"
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,"
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305";

template <typename Map>
std::string Pairs(const Map& map, absl::string_view between) {
  const std::map<std::string, std::string> sorted(map.begin(), map.end());
  return absl::StrJoin(sorted, ",", absl::PairFormatter(between));
}

void AddKubelet(const v1::K3sKubelet& kubelet, std::vector<std::string>* out) {
  auto add = [out](absl::string_view name, const auto& value) {
    out->push_back(absl::StrCat(name, "=", value));
  };
  if (kubelet.has_max_pods()) add("max-pods", kubelet.max_pods());
  if (!kubelet.system_reserved().empty()) {
    add("system-reserved", Pairs(kubelet.system_reserved(), "="));
  }
  if (!kubelet.kube_reserved().empty()) {
    add("kube-reserved", Pairs(kubelet.kube_reserved(), "="));
  }
  if (!kubelet.eviction_hard().empty()) {
    add("eviction-hard", Pairs(kubelet.eviction_hard(), "<"));
  }
  if (kubelet.has_container_log_max_size()) {
    add("container-log-max-size", kubelet.container_log_max_size());
  }
  if (kubelet.has_container_log_max_files()) {
    add("container-log-max-files", kubelet.container_log_max_files());
  }
  if (kubelet.has_image_gc_high_percent()) {
    add("image-gc-high-threshold", kubelet.image_gc_high_percent());
  }
  if (kubelet.has_image_gc_low_percent()) {
    add("image-gc-low-threshold", kubelet.image_gc_low_percent());
  }
}

// The CIS benchmark as far as flags can follow it. Some are K3s's own defaults: they are written
// all the same, so that a release with another default does not open a door.
void AddHardening(const v1::K3s& k3s, const std::string& root, Args* args) {
  std::vector<std::string>& kubelet = (*args)["kubelet-arg"];
  for (absl::string_view flag :
       {"anonymous-auth=false", "authorization-mode=Webhook", "read-only-port=0",
        "streaming-connection-idle-timeout=5m", "make-iptables-util-chains=true"}) {
    kubelet.emplace_back(flag);
  }
  kubelet.push_back(absl::StrCat("tls-cipher-suites=", kCiphers));
  if (!IsServer(k3s)) return;
  std::vector<std::string>& apiserver = (*args)["kube-apiserver-arg"];
  for (absl::string_view flag :
       {"anonymous-auth=false", "profiling=false", "service-account-lookup=true",
        "request-timeout=300s", "enable-admission-plugins=NodeRestriction,EventRateLimit",
        "audit-log-maxage=30", "audit-log-maxbackup=10", "audit-log-maxsize=100"}) {
    apiserver.emplace_back(flag);
  }
  apiserver.push_back(absl::StrCat("admission-control-config-file=", root, "/", kAdmissionPath));
  apiserver.push_back(absl::StrCat("audit-policy-file=", root, "/", kAuditPolicyPath));
  apiserver.push_back(absl::StrCat("audit-log-path=", root, "/", kAuditLogPath));
  if (MinorVersion(k3s.version()) >= 29) {
    apiserver.emplace_back("service-account-extend-token-expiration=false");
  }
  (*args)["kube-controller-manager-arg"] = {"profiling=false", "terminated-pod-gc-threshold=100",
                                            "use-service-account-credentials=true"};
  (*args)["kube-scheduler-arg"] = {"profiling=false"};
}

std::string AdmissionText(const v1::K3s& k3s) {
  const v1::K3sHardening& hardening = k3s.hardening();
  const std::string level =
      Quoted(hardening.has_pod_security() ? hardening.pod_security() : "restricted");
  // K3s's own pods run there.
  std::vector<std::string> exempt = {"kube-system"};
  if (auto it = k3s.config().find("servicelb-namespace"); it != k3s.config().end()) {
    exempt.push_back(it->second.text());
  }
  exempt.insert(exempt.end(), hardening.exempt_namespaces().begin(),
                hardening.exempt_namespaces().end());
  std::sort(exempt.begin(), exempt.end());
  exempt.erase(std::unique(exempt.begin(), exempt.end()), exempt.end());
  std::string defaults;
  for (absl::string_view mode : {"enforce", "audit", "warn"}) {
    absl::StrAppend(&defaults, "        ", mode, ": ", level, "\n        ", mode,
                    "-version: \"latest\"\n");
  }
  std::string namespaces;
  for (const std::string& name : exempt) {
    absl::StrAppend(&namespaces, "          - ", Quoted(name), "\n");
  }
  return absl::StrCat(
      "apiVersion: apiserver.config.k8s.io/v1\n"
      "kind: AdmissionConfiguration\n"
      "plugins:\n"
      "  - name: EventRateLimit\n"
      "    configuration:\n"
      "      apiVersion: eventratelimit.admission.k8s.io/v1alpha1\n"
      "      kind: Configuration\n"
      "      limits:\n"
      "        - {type: Server, qps: 5000, burst: 20000}\n"
      "  - name: PodSecurity\n"
      "    configuration:\n"
      "      apiVersion: pod-security.admission.config.k8s.io/v1\n"
      "      kind: PodSecurityConfiguration\n"
      "      defaults:\n",
      defaults,
      "      exemptions:\n"
      "        usernames: []\n"
      "        runtimeClasses: []\n"
      "        namespaces:\n",
      namespaces);
}

// Who did what to which object; contents would bring Secrets into the log.
constexpr char kAuditPolicy[] =
    "apiVersion: audit.k8s.io/v1\n"
    "kind: Policy\n"
    "omitStages: [RequestReceived]\n"
    "rules:\n"
    "  - level: Metadata\n";

}  // namespace

Args ComponentArgs(const v1::K3s& k3s, const std::string& root) {
  Args args;
  args["kubelet-arg"].emplace_back(kVolumePlugins);
  if (k3s.has_hardening()) AddHardening(k3s, root, &args);
  AddKubelet(k3s.kubelet(), &args["kubelet-arg"]);
  for (auto& [key, list] : args) {
    const auto it = k3s.config().find(key);
    if (it == k3s.config().end()) continue;
    const v1::ConfigValue& value = it->second;
    if (value.has_text()) list.push_back(value.text());
    list.insert(list.end(), value.list().values().begin(), value.list().values().end());
  }
  return args;
}

std::vector<RenderedFile> HardeningFiles(const v1::K3s& k3s) {
  if (!k3s.has_hardening() || !IsServer(k3s)) return {};
  const v1::K3sHardening& hardening = k3s.hardening();
  return {
      {kAdmissionPath, AdmissionText(k3s)},
      {kAuditPolicyPath, hardening.has_audit_policy() ? hardening.audit_policy() : kAuditPolicy}};
}

}  // namespace basalt::k3s
