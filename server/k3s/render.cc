#include "server/k3s/render.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "machineconfig/format/k3s_version.h"
#include "machineconfig/format/net.h"
#include "machineconfig/schema/k3s_keys.h"
#include "server/fetch/outside.h"
#include "server/k3s/component_args.h"
#include "server/k3s/registries.h"
#include "server/k3s/yaml_text.h"

namespace basalt::k3s {
namespace {

std::string Abs(const NodeFacts& facts, absl::string_view path) {
  return absl::StrCat(facts.root, "/", path);
}

absl::StatusOr<std::vector<std::string>> NodeIps(const v1::MachineConfig& to,
                                                 const NodeFacts& facts) {
  const v1::K3sNode& node = to.k3s().node();
  if (node.ip_size() > 0) return std::vector<std::string>(node.ip().begin(), node.ip().end());
  if (facts.confined) return std::vector<std::string>{facts.address};
  if (!node.has_ip_subnet()) return std::vector<std::string>{};
  // Those that this very config gives the machine: it has them when K3s starts, and a first config
  // is planned before.
  for (const v1::Interface& interface : to.network().interfaces()) {
    for (const std::string& prefix : interface.addresses()) {
      const std::string address = prefix.substr(0, prefix.find('/'));
      if (InSubnet(address, node.ip_subnet())) return std::vector<std::string>{address};
    }
  }
  for (const std::string& address : facts.addresses) {
    if (InSubnet(address, node.ip_subnet())) return std::vector<std::string>{address};
  }
  return api::Coded(
      absl::StatusCode::kFailedPrecondition, "no-node-ip",
      absl::StrCat("no address of this node is in k3s.node.ipSubnet ", node.ip_subnet()),
      absl::StrCat("it has ", absl::StrJoin(facts.addresses, ", ")));
}

// The full form pins the cluster's CA: a stranger's server cannot take the node in.
std::string JoinToken(const v1::K3s& k3s, const char* user, const std::string& password) {
  if (!k3s.cluster().has_ca_hash() || absl::StartsWith(password, "K10")) return password;
  return absl::StrCat("K10", k3s.cluster().ca_hash(), "::", user, ":", password);
}

std::vector<std::string> Labels(const v1::K3s& k3s) {
  std::map<std::string, std::string> sorted(k3s.node().labels().begin(), k3s.node().labels().end());
  std::vector<std::string> out;
  for (const auto& [key, value] : sorted) out.push_back(absl::StrCat(key, "=", value));
  return out;
}

void SetTokens(const v1::K3s& k3s, const NodeFacts& facts, FlatYaml* yaml,
               std::vector<RenderedFile>* files) {
  bool server = IsServer(k3s);
  std::string join;
  if (!server && k3s.has_agent_token()) {
    join = JoinToken(k3s, "node", k3s.agent_token().plain());
  } else if (k3s.has_token()) {
    // The first server cannot know the hash of a CA that it is going to make.
    join = server && !k3s.cluster().has_server() ? k3s.token().plain()
                                                 : JoinToken(k3s, "server", k3s.token().plain());
  }
  if (!join.empty()) {
    yaml->Set("token-file", Abs(facts, kTokenPath));
    files->push_back({kTokenPath, join});
  }
  if (server && k3s.has_agent_token()) {
    yaml->Set("agent-token-file", Abs(facts, kAgentTokenPath));
    files->push_back({kAgentTokenPath, k3s.agent_token().plain()});
  }
}

void SetDatastore(const v1::K3s& k3s, const NodeFacts& facts, FlatYaml* yaml,
                  std::vector<RenderedFile>* files, std::vector<std::string>* env) {
  if (!k3s.has_datastore()) return;
  const v1::K3sDatastore& store = k3s.datastore();
  // By environment: the endpoint may hold a password.
  env->push_back(absl::StrCat("K3S_DATASTORE_ENDPOINT=", store.endpoint().plain()));
  auto file = [&](const char* key, const char* name, const v1::Secret& secret) {
    std::string path = absl::StrCat(kDatastorePrefix, name);
    yaml->Set(key, Abs(facts, path));
    files->push_back({path, secret.plain()});
  };
  if (store.has_ca()) file("datastore-cafile", "ca.crt", store.ca());
  if (store.has_certificate()) file("datastore-certfile", "client.crt", store.certificate());
  if (store.has_key()) file("datastore-keyfile", "client.key", store.key());
}

// What a typed field says wins over the same name in k3s.env: it stands behind it.
void KeepLast(std::vector<std::string>& env) {
  std::map<std::string, std::string> last;
  for (const std::string& variable : env) {
    const size_t equals = variable.find('=');
    last[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  env.clear();
  for (const auto& [name, value] : last) env.push_back(absl::StrCat(name, "=", value));
}

// Keys go by environment, as K3s takes them from there too: config.yaml is for everybody to read
// who debugs.
void SetS3(const v1::K3sS3& s3, const NodeFacts& facts, FlatYaml* yaml,
           std::vector<RenderedFile>* files, std::vector<std::string>* env) {
  yaml->Set("etcd-s3", true);
  auto text = [yaml](const char* key, bool present, const std::string& value) {
    if (present) yaml->Set(key, value);
  };
  text("etcd-s3-endpoint", s3.has_endpoint(), s3.endpoint());
  text("etcd-s3-bucket", s3.has_bucket(), s3.bucket());
  text("etcd-s3-folder", s3.has_folder(), s3.folder());
  text("etcd-s3-region", s3.has_region(), s3.region());
  text("etcd-s3-config-secret", s3.has_config_secret(), s3.config_secret());
  if (s3.has_retention()) yaml->Set("etcd-s3-retention", static_cast<int64_t>(s3.retention()));
  if (s3.insecure_skip_verify()) yaml->Set("etcd-s3-skip-ssl-verify", true);
  if (s3.plain_http()) yaml->Set("etcd-s3-insecure", true);
  if (s3.has_ca()) {
    const std::string path = absl::StrCat(kDatastorePrefix, "s3-ca.crt");
    yaml->Set("etcd-s3-endpoint-ca", Abs(facts, path));
    files->push_back({path, s3.ca()});
  }
  auto secret = [env](const char* name, bool present, const v1::Secret& value) {
    if (present) env->push_back(absl::StrCat(name, "=", value.plain()));
  };
  secret("AWS_ACCESS_KEY_ID", s3.has_access_key(), s3.access_key());
  secret("AWS_SECRET_ACCESS_KEY", s3.has_secret_key(), s3.secret_key());
  secret("AWS_SESSION_TOKEN", s3.has_session_token(), s3.session_token());
}

void SetServer(const v1::K3s& k3s, const NodeFacts& facts, FlatYaml* yaml,
               std::vector<RenderedFile>* files, std::vector<std::string>* env) {
  if (facts.confined && !yaml->Has("bind-address")) yaml->Set("bind-address", facts.address);
  std::vector<std::string> sans(k3s.tls_sans().begin(), k3s.tls_sans().end());
  if (facts.confined) sans.push_back(facts.address);
  std::sort(sans.begin(), sans.end());
  sans.erase(std::unique(sans.begin(), sans.end()), sans.end());
  if (!sans.empty()) yaml->Set("tls-san", sans);
  yaml->Set("write-kubeconfig", Abs(facts, kKubeconfigPath));
  yaml->Set("write-kubeconfig-mode", std::string("0600"));
  if (k3s.cluster().init()) yaml->Set("cluster-init", true);
  if (!UsesEtcd(k3s) || !k3s.has_snapshots()) return;
  const v1::K3sSnapshots& snapshots = k3s.snapshots();
  if (!snapshots.enabled()) yaml->Set("etcd-disable-snapshots", true);
  if (snapshots.has_schedule()) yaml->Set("etcd-snapshot-schedule-cron", snapshots.schedule());
  if (snapshots.has_retention()) {
    yaml->Set("etcd-snapshot-retention", static_cast<int64_t>(snapshots.retention()));
  }
  if (snapshots.has_s3()) SetS3(snapshots.s3(), facts, yaml, files, env);
}

void SetNode(const v1::MachineConfig& to, const std::vector<std::string>& ips,
             const NodeFacts& facts, FlatYaml* yaml) {
  const v1::K3s& k3s = to.k3s();
  yaml->Set("data-dir", Abs(facts, kDataDir));
  yaml->Set("node-name", to.metadata().name());
  if (!ips.empty()) yaml->Set("node-ip", absl::StrJoin(ips, ","));
  if (k3s.node().external_ip_size() > 0) {
    yaml->Set("node-external-ip", absl::StrJoin(k3s.node().external_ip(), ","));
  }
  if (k3s.node().labels_size() > 0) yaml->Set("node-label", Labels(k3s));
  if (k3s.node().taints_size() > 0) {
    std::vector<std::string> taints(k3s.node().taints().begin(), k3s.node().taints().end());
    std::sort(taints.begin(), taints.end());
    yaml->Set("node-taint", taints);
  }
  if (!yaml->Has("resolv-conf") && !facts.resolv_conf.empty())
    yaml->Set("resolv-conf", facts.resolv_conf);
  if (k3s.cluster().has_server()) yaml->Set("server", k3s.cluster().server());
  for (const auto& [key, list] : ComponentArgs(k3s, facts.root)) yaml->Set(key, list);
  if (k3s.has_hardening()) yaml->Set("protect-kernel-defaults", true);
}

std::vector<std::string> BaseEnv(const v1::K3s& k3s, const NodeFacts& facts) {
  std::map<std::string, std::string> env = {
      {"PATH", kPath}, {"HOME", "/root"}, {"K3S_CONFIG_FILE", Abs(facts, kConfigPath)}};
  for (const v1::EnvVar& variable : k3s.env()) {
    // The file that is rendered is the one that is read.
    if (variable.name() != "K3S_CONFIG_FILE") env[variable.name()] = variable.value();
  }
  std::vector<std::string> out;
  for (const auto& [name, value] : env) out.push_back(absl::StrCat(name, "=", value));
  return out;
}

// K3s imports by suffix; the artifact's is that of its first URL.
std::string ImageFileName(const v1::K3sImage& image, const v1::Artifact& artifact) {
  for (const char* suffix :
       {".tar.gz", ".tar.zst", ".tar.bz2", ".tar.lz4", ".tgz", ".tbz", ".txt"}) {
    if (artifact.urls_size() > 0 && absl::EndsWith(artifact.urls(0), suffix)) {
      return absl::StrCat(kOwnPrefix, image.name(), suffix);
    }
  }
  return absl::StrCat(kOwnPrefix, image.name(), ".tar");
}

// Keys that this release does not know: it would end with an error (agents always, servers of old).
void DropUnknown(const v1::K3s& k3s, FlatYaml* yaml) {
  const auto version = format::ParseK3sVersion(k3s.version());
  if (!version.ok()) return;
  const bool agent = !IsServer(k3s);
  for (const std::string& name : yaml->keys()) {
    const schema::K3sKey* key = schema::FindK3sKey(name);
    if (key == nullptr || k3s.config().count(name) > 0) continue;
    const bool here =
        key->role != (agent ? schema::K3sKeyRole::kServer : schema::K3sKeyRole::kAgent);
    if (!here || schema::SupportOf(*key, version->minor, version->patch, agent) !=
                     schema::K3sSupport::kKnown) {
      yaml->Erase(name);
    }
  }
}

std::string Tag(const v1::MachineConfig& config, const std::string& binary, FlatYaml yaml,
                const Rendered& rendered) {
  const v1::K3s& k3s = config.k3s();
  yaml.Erase("node-label");
  // Which file the machine uses may change under a running K3s: no reason to restart it.
  if (k3s.config().count("resolv-conf") == 0) yaml.Erase("resolv-conf");
  Sha256Stream hash;
  auto part = [&hash](absl::string_view text) {
    hash.Update(absl::StrCat(text.size(), ":", text));
  };
  part(binary);
  part(yaml.Text());
  for (const std::string& word : rendered.argv) part(word);
  for (const std::string& variable : rendered.env) part(variable);
  for (const RenderedFile& file : rendered.files) {
    if (file.path == kConfigPath) continue;
    part(file.path);
    part(file.content);
  }
  for (const auto& [name, digest] : rendered.images) part(absl::StrCat(name, "=", digest));
  // K3s reads whom to trust when it starts.
  for (const v1::CaCertificate& authority : config.system().ca_certificates()) {
    part(authority.certificate());
  }
  return hash.Finish().Hex();
}

}  // namespace

bool IsForPods(const std::string& resolv_conf) {
  int servers = 0;
  for (absl::string_view line : absl::StrSplit(resolv_conf, '\n')) {
    std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.size() < 2 || words[0] != "nameserver") continue;
    // With a scope ("fe80::1%eth0") it is link-local, which no pod has.
    for (const char* local : {"127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10", "0.0.0.0/32",
                              "::/128", "224.0.0.0/4", "ff00::/8"}) {
      if (InSubnet(words[1], local)) return false;
    }
    if (!format::ParseIp(words[1]).ok()) return false;
    ++servers;
  }
  return servers > 0;
}

bool IsServer(const v1::K3s& k3s) { return k3s.role() == v1::K3S_ROLE_SERVER; }

bool UsesEtcd(const v1::K3s& k3s) {
  return IsServer(k3s) && !k3s.has_datastore() &&
         (k3s.cluster().init() || k3s.cluster().has_server());
}

int MinorVersion(const std::string& version) {
  std::vector<std::string> parts = absl::StrSplit(version, '.');
  int minor = 0;
  if (parts.size() < 3 || parts[0] != "v1" || !absl::SimpleAtoi(parts[1], &minor)) return 0;
  return minor;
}

bool InSubnet(const std::string& address, const std::string& cidr) {
  absl::StatusOr<format::Cidr> subnet = format::ParseCidr(cidr);
  absl::StatusOr<format::IpAddress> ip = format::ParseIp(address);
  return subnet.ok() && ip.ok() && subnet->Contains(*ip);
}

Ports PortsOf(const v1::K3s& k3s) {
  Ports ports;
  auto read = [&k3s](const char* key, int* port) {
    auto it = k3s.config().find(key);
    if (it == k3s.config().end()) return;
    if (it->second.has_integer()) *port = static_cast<int>(it->second.integer());
  };
  read("https-listen-port", &ports.https);
  read("lb-server-port", &ports.load_balancer);
  return ports;
}

absl::StatusOr<const v1::Artifact*> ForArchitecture(const v1::K3sArtifacts& artifacts,
                                                    const std::string& architecture,
                                                    const std::string& what) {
  if (architecture == "amd64" && artifacts.has_amd64()) return &artifacts.amd64();
  if (architecture == "arm64" && artifacts.has_arm64()) return &artifacts.arm64();
  if (architecture == "arm" && artifacts.has_arm()) return &artifacts.arm();
  return api::Coded(
      absl::StatusCode::kFailedPrecondition, "artifact-missing",
      absl::StrCat(what, " names no artifact for ", architecture, ", which this node is"),
      "`nodectl k3s pin` adds all architectures of a release");
}

absl::StatusOr<Rendered> Render(const v1::MachineConfig& to, const NodeFacts& facts) {
  const v1::K3s& k3s = to.k3s();
  absl::StatusOr<const v1::Artifact*> binary =
      ForArchitecture(k3s.artifacts(), facts.architecture, "k3s.artifacts");
  if (!binary.ok()) return binary.status();
  absl::StatusOr<std::vector<std::string>> ips = NodeIps(to, facts);
  if (!ips.ok()) return ips.status();

  Rendered out;
  FlatYaml yaml;
  for (const auto& [key, value] : k3s.config()) yaml.Set(key, value);
  out.argv = {"k3s", IsServer(k3s) ? "server" : "agent"};
  out.env = BaseEnv(k3s, facts);
  SetNode(to, *ips, facts, &yaml);
  SetTokens(k3s, facts, &yaml, &out.files);
  if (IsServer(k3s)) {
    SetServer(k3s, facts, &yaml, &out.files, &out.env);
    for (RenderedFile& file : HardeningFiles(k3s)) out.files.push_back(std::move(file));
    SetDatastore(k3s, facts, &yaml, &out.files, &out.env);
    for (const v1::K3sManifest& manifest : k3s.manifests()) {
      out.manifests.push_back(
          {absl::StrCat(kManifestsDir, "/", kOwnPrefix, manifest.name(), ".yaml"),
           manifest.content().plain()});
    }
  }
  std::vector<RenderedFile> registries = RenderRegistries(k3s.registries(), facts.root);
  if (!registries.empty()) yaml.Set("private-registry", Abs(facts, kRegistriesPath));
  out.files.insert(out.files.end(), registries.begin(), registries.end());
  if (k3s.has_node_password()) {
    // Kept over a reboot: a node that lost it would be refused under its own name.
    out.files.push_back({kNodePasswordPath, absl::StrCat(k3s.node_password().plain(), "\n"),
                         /*volatile_file=*/false});
  }
  for (const v1::K3sImage& image : k3s.images()) {
    absl::StatusOr<const v1::Artifact*> artifact = ForArchitecture(
        image.artifacts(), facts.architecture, absl::StrCat("k3s.images[", image.name(), "]"));
    if (!artifact.ok()) return artifact.status();
    out.images[ImageFileName(image, **artifact)] = (*artifact)->sha256();
  }
  for (const auto& [name, value] : fetch::OutsideEnvironment(to.system(), facts.root)) {
    out.env.push_back(absl::StrCat(name, "=", value));
  }
  KeepLast(out.env);
  std::sort(out.env.begin(), out.env.end());
  DropUnknown(k3s, &yaml);
  out.config_yaml = yaml.Text();
  out.tag = Tag(to, (*binary)->sha256(), yaml, out);
  out.files.push_back({kConfigPath, out.config_yaml});
  out.config_digest = Sha256(out.config_yaml).Hex();
  return out;
}

}  // namespace basalt::k3s
