#include <re2/re2.h>

#include <algorithm>
#include <initializer_list>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/format/net.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/rules.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::validate {
namespace {

constexpr size_t kMinToken = 16;

bool Present(const v1::Secret& secret) { return secret.value_case() != v1::Secret::VALUE_NOT_SET; }

// Kine and etcd: what K3s connects to. The value is never repeated, it holds a password.
void CheckDatastore(const v1::K3sDatastore& datastore, Report& report) {
  if (!datastore.endpoint().has_plain() || datastore.endpoint().plain().empty()) return;
  for (absl::string_view scheme :
       {"postgres://", "postgresql://", "mysql://", "nats://", "http://", "https://"}) {
    if (absl::StartsWith(datastore.endpoint().plain(), scheme)) return;
  }
  if (datastore.endpoint().plain() == yaml::kRedacted) return;
  report.Error("k3s.datastore.endpoint", "bad-format",
               "must begin with postgres://, mysql://, nats:// or https:// (etcd)",
               "for example mysql://USER:PASSWORD@tcp(HOST:3306)/k3s");
}

// What K3s would take, but anybody could guess, or would break K3s's own token form.
void CheckToken(const v1::Secret& secret, const std::string& path, Report& report) {
  if (!secret.has_plain() || secret.plain().empty()) return;
  const std::string& token = secret.plain();
  const char* const kHint = "`nodectl init` makes good ones; or: openssl rand -hex 32";
  if (token == yaml::kRedacted) return;  // reported with all other secrets
  if (absl::StartsWith(token, "${") || absl::StartsWith(token, "$(") ||
      (token.front() == '<' && token.back() == '>')) {
    return report.Error(path, "bad-token", "is a placeholder; nothing is filled in here",
                        "write the token itself");
  }
  if (token.back() == '\n') {
    return report.Error(path, "bad-token", "ends with a line end",
                        "write it in the line of its key, or with `|-` instead of `|`");
  }
  const bool printable = std::all_of(token.begin(), token.end(), absl::ascii_isgraph);
  if (!printable) {
    return report.Error(path, "bad-token", "must be printable ASCII without spaces or line ends",
                        kHint);
  }
  if (absl::StartsWith(token, "K10") && absl::StrContains(token, "::")) {
    return report.Error(path, "bad-token",
                        "is a full K3s token; only its last part, the password, belongs here",
                        "put the CA hash into k3s.cluster.caHash");
  }
  const std::string lower = absl::AsciiStrToLower(token);
  for (absl::string_view word :
       {"changeme", "change-me", "secret", "password", "token", "k3s", "example", "default",
        "mysecret", "supersecret", "12345", "qwerty", "redacted"}) {
    // The word alone, or padded to length: "changemechangeme", "secret1234567890".
    if (absl::StartsWith(lower, word) && token.size() < word.size() + kMinToken) {
      return report.Error(path, "bad-token", "is a well-known or default value", kHint);
    }
  }
  if (token.size() < kMinToken) {
    return report.Error(path, "bad-token",
                        absl::StrCat("must have at least ", kMinToken, " characters"), kHint);
  }
  const absl::flat_hash_set<char> letters(token.begin(), token.end());
  if (letters.size() < 6) {
    report.Error(path, "bad-token", "repeats a few characters and is easy to guess", kHint);
  }
}

void CheckArtifacts(const v1::K3sArtifacts& artifacts, const std::string& path, Report& report) {
  if (!artifacts.has_amd64() && !artifacts.has_arm64() && !artifacts.has_arm()) {
    report.Error(path, "required", "at least one architecture is required",
                 "amd64, arm64 or arm; `nodectl k3s pin` writes it");
  }
}

void CheckServerUrl(const v1::K3sCluster& cluster, Report& report) {
  const auto url = format::ParseUrl(cluster.server());
  if (url.ok() && url->scheme == "https" && url->port == 0) {
    report.Warning("k3s.cluster.server", "no-port",
                   "without a port this is port 443; K3s servers listen on 6443",
                   "add :6443, or :443 if that is meant");
  }
}

void CheckServer(const v1::K3s& k3s, Report& report) {
  const v1::K3sCluster& cluster = k3s.cluster();
  if (!Present(k3s.token())) {
    report.Error("k3s.token", "required", "a server needs the server token",
                 "`nodectl init` makes one in secrets.yaml");
  }
  if (!Present(k3s.agent_token())) {
    report.Warning("k3s.agentToken", "shared-token",
                   "without an agent token agents join with the server token, and who has that can "
                   "add servers");
  }
  const bool embedded = cluster.init() || cluster.has_server();
  if (cluster.init() && cluster.has_server()) {
    report.Error("k3s.cluster.init", "conflict",
                 "`init` starts a new cluster and `server` joins one", "keep one of the two");
  }
  if (embedded && k3s.has_datastore()) {
    report.Error("k3s.datastore", "conflict",
                 "an external datastore excludes embedded etcd (cluster.init, cluster.server)",
                 "servers with the same datastore and token find each other");
  }
  if (k3s.has_snapshots() && !embedded) {
    report.Error("k3s.snapshots", "conflict",
                 "snapshots are of embedded etcd, which this server does not run",
                 "set k3s.cluster.init or k3s.cluster.server, or remove the section");
  }
}

void CheckAgent(const v1::K3s& k3s, Report& report) {
  if (!k3s.cluster().has_server()) {
    report.Error("k3s.cluster.server", "required", "an agent needs the server to join",
                 "for example https://pi-server-0:6443");
  }
  if (!Present(k3s.agent_token()) && !Present(k3s.token())) {
    report.Error("k3s.agentToken", "required", "an agent needs a token to join with",
                 "the agent token of the cluster, from secrets.yaml");
  } else if (Present(k3s.token())) {
    report.Warning("k3s.token", "server-token-on-agent",
                   "an agent does not need the server token; who steals it can add servers",
                   "use k3s.agentToken alone");
  }
  auto refuse = [&](bool present, absl::string_view name) {
    if (present) {
      report.Error(absl::StrCat("k3s.", name), "wrong-role",
                   "is for servers only; this node is an agent", "remove it");
    }
  };
  refuse(k3s.cluster().init(), "cluster.init");
  refuse(k3s.has_datastore(), "datastore");
  refuse(k3s.tls_sans_size() > 0, "tlsSans");
  refuse(k3s.manifests_size() > 0, "manifests");
  refuse(k3s.has_snapshots(), "snapshots");
}

void CheckNode(const v1::K3sNode& node, Report& report) {
  if (node.ip_size() > 0 && node.has_ip_subnet()) {
    report.Error("k3s.node.ipSubnet", "conflict", "`ip` and `ipSubnet` exclude each other",
                 "keep one of the two");
  }
  for (const auto& [list, name] :
       {std::make_pair(&node.ip(), "ip"), std::make_pair(&node.external_ip(), "externalIp")}) {
    if (list->size() != 2) continue;
    const auto a = format::ParseIp((*list)[0]);
    const auto b = format::ParseIp((*list)[1]);
    if (a.ok() && b.ok() && a->v6() == b->v6()) {
      report.Error(absl::StrCat("k3s.node.", name), "conflict",
                   "two addresses of one family; at most one IPv4 and one IPv6 address");
    }
  }
}

void CheckRegistries(const v1::K3sRegistries& registries, Report& report) {
  for (int i = 0; i < registries.mirrors_size(); ++i) {
    const v1::RegistryMirror& mirror = registries.mirrors(i);
    for (int j = 0; j < mirror.rewrites_size(); ++j) {
      // K3s is written in Go, whose regular expressions are those of RE2.
      const RE2 pattern(mirror.rewrites(j).match(), RE2::Quiet);
      if (pattern.ok()) continue;
      report.Error(absl::StrCat(schema::Element("k3s.registries.mirrors", mirror.name()), ".",
                                schema::Element("rewrites", mirror.rewrites(j).match()), ".match"),
                   "bad-format", absl::StrCat("not a regular expression (RE2): ", pattern.error()));
    }
  }
  for (const v1::RegistryConfig& config : registries.configs()) {
    const std::string path = schema::Element("k3s.registries.configs", config.name());
    if (config.has_certificate() != Present(config.key())) {
      report.Error(schema::Child(path, config.has_certificate() ? "key" : "certificate"),
                   "required", "a client certificate needs its key, and the key its certificate");
    }
    if (config.has_username() != Present(config.password())) {
      report.Error(schema::Child(path, config.has_username() ? "password" : "username"), "required",
                   "user name and password go together");
    }
    if (config.insecure_skip_verify()) {
      report.Warning(schema::Child(path, "insecureSkipVerify"), "insecure",
                     "the certificate of the registry is not checked");
    }
  }
}

// Variables by which noded itself steers K3s; the owner's would undo it or bypass a checked field.
bool Reserved(absl::string_view name) {
  for (absl::string_view word :
       {"NOTIFY_SOCKET", "INVOCATION_ID", "WATCHDOG_USEC", "WATCHDOG_PID", "PATH", "HOME",
        "K3S_CONFIG_FILE", "K3S_DATA_DIR", "K3S_URL", "K3S_NODE_NAME", "K3S_KUBECONFIG_OUTPUT",
        "K3S_KUBECONFIG_MODE", "K3S_KUBECONFIG_GROUP", "K3S_DEBUG", "_K3S_LOG_REEXEC_"}) {
    if (name == word) return true;
  }
  for (absl::string_view prefix : {"K3S_TOKEN", "K3S_AGENT_TOKEN", "K3S_CLUSTER_", "K3S_DATASTORE_",
                                   "K3S_ROOTLESS", "LISTEN_", "LD_"}) {
    if (absl::StartsWith(name, prefix)) return true;
  }
  return false;
}

}  // namespace

void CheckK3s(const v1::K3s& k3s, Report& report) {
  if (k3s.has_artifacts()) CheckArtifacts(k3s.artifacts(), "k3s.artifacts", report);
  for (const v1::K3sImage& image : k3s.images()) {
    if (image.has_artifacts()) {
      CheckArtifacts(image.artifacts(),
                     schema::Child(schema::Element("k3s.images", image.name()), "artifacts"),
                     report);
    }
  }
  for (const v1::K3sManifest& manifest : k3s.manifests()) {
    for (absl::string_view suffix : {".yaml", ".yml", ".json"}) {
      if (!absl::EndsWith(manifest.name(), suffix)) continue;
      report.Error(schema::Child(schema::Element("k3s.manifests", manifest.name()), "name"),
                   "bad-format", "is written without the suffix of the file", "noded adds .yaml");
    }
  }
  CheckDatastore(k3s.datastore(), report);
  CheckToken(k3s.token(), "k3s.token", report);
  CheckToken(k3s.agent_token(), "k3s.agentToken", report);
  CheckToken(k3s.node_password(), "k3s.nodePassword", report);
  if (k3s.token().has_plain() && k3s.agent_token().has_plain() &&
      k3s.token().plain() == k3s.agent_token().plain()) {
    report.Error("k3s.agentToken", "conflict", "must differ from the server token");
  }
  if (k3s.role() == v1::K3S_ROLE_SERVER) CheckServer(k3s, report);
  if (k3s.role() == v1::K3S_ROLE_AGENT) CheckAgent(k3s, report);
  CheckServerUrl(k3s.cluster(), report);
  CheckNode(k3s.node(), report);
  CheckRegistries(k3s.registries(), report);
  for (const v1::EnvVar& variable : k3s.env()) {
    if (Reserved(variable.name())) {
      report.Error(schema::Child(schema::Element("k3s.env", variable.name()), "name"),
                   "reserved-name", "noded itself sets or forbids this variable");
    }
  }
}

}  // namespace basalt::validate
