#include "tests/support/k3s_double/settings.h"

#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "tests/support/k3s_double/process.h"

namespace basalt::k3s_double {
namespace {

// The keys of K3s v1.21 (k3s server --help, k3s agent --help).
const std::set<std::string>& AgentKeys() {
  static const std::set<std::string> keys = {"token",
                                             "token-file",
                                             "server",
                                             "data-dir",
                                             "node-name",
                                             "with-node-id",
                                             "node-label",
                                             "node-taint",
                                             "image-credential-provider-bin-dir",
                                             "image-credential-provider-config",
                                             "docker",
                                             "container-runtime-endpoint",
                                             "pause-image",
                                             "snapshotter",
                                             "private-registry",
                                             "node-ip",
                                             "node-external-ip",
                                             "resolv-conf",
                                             "flannel-iface",
                                             "flannel-conf",
                                             "kubelet-arg",
                                             "kube-proxy-arg",
                                             "protect-kernel-defaults",
                                             "selinux",
                                             "rootless",
                                             "lb-server-port",
                                             "debug",
                                             "v",
                                             "vmodule",
                                             "log",
                                             "alsologtostderr",
                                             "airgap-extra-registry"};
  return keys;
}

const std::set<std::string>& ServerKeys() {
  static const std::set<std::string> keys = [] {
    std::set<std::string> all = AgentKeys();
    all.insert({"bind-address",
                "https-listen-port",
                "advertise-address",
                "advertise-port",
                "tls-san",
                "cluster-cidr",
                "service-cidr",
                "service-node-port-range",
                "cluster-dns",
                "cluster-domain",
                "flannel-backend",
                "agent-token",
                "agent-token-file",
                "cluster-init",
                "cluster-reset",
                "cluster-reset-restore-path",
                "write-kubeconfig",
                "write-kubeconfig-mode",
                "kube-apiserver-arg",
                "kube-scheduler-arg",
                "kube-controller-manager-arg",
                "kube-cloud-controller-manager-arg",
                "datastore-endpoint",
                "datastore-cafile",
                "datastore-certfile",
                "datastore-keyfile",
                "etcd-expose-metrics",
                "etcd-disable-snapshots",
                "etcd-snapshot-name",
                "etcd-snapshot-schedule-cron",
                "etcd-snapshot-retention",
                "etcd-snapshot-dir",
                "etcd-s3",
                "etcd-s3-endpoint",
                "etcd-s3-endpoint-ca",
                "etcd-s3-skip-ssl-verify",
                "etcd-s3-access-key",
                "etcd-s3-secret-key",
                "etcd-s3-bucket",
                "etcd-s3-region",
                "etcd-s3-folder",
                "etcd-s3-insecure",
                "etcd-s3-retention",
                "etcd-s3-config-secret",
                "default-local-storage-path",
                "disable",
                "disable-scheduler",
                "disable-cloud-controller",
                "disable-kube-proxy",
                "disable-network-policy",
                "disable-helm-controller",
                "disable-apiserver",
                "disable-controller-manager",
                "disable-etcd",
                "disable-agent",
                "secrets-encryption",
                "system-default-registry"});
    return all;
  }();
  return keys;
}

// The flags of kube-apiserver that people pass. An unknown one ends the whole process, as in K3s,
// where the apiserver is a goroutine.
void CheckApiserverArguments(const std::vector<std::string>& arguments) {
  static const std::set<std::string> known = {"admission-control-config-file",
                                              "allow-privileged",
                                              "anonymous-auth",
                                              "api-audiences",
                                              "audit-log-format",
                                              "audit-log-maxage",
                                              "audit-log-maxbackup",
                                              "audit-log-maxsize",
                                              "audit-log-path",
                                              "audit-policy-file",
                                              "audit-webhook-config-file",
                                              "authorization-mode",
                                              "default-not-ready-toleration-seconds",
                                              "default-unreachable-toleration-seconds",
                                              "disable-admission-plugins",
                                              "enable-admission-plugins",
                                              "encryption-provider-config",
                                              "event-ttl",
                                              "feature-gates",
                                              "max-mutating-requests-inflight",
                                              "max-requests-inflight",
                                              "oidc-ca-file",
                                              "oidc-client-id",
                                              "oidc-groups-claim",
                                              "oidc-groups-prefix",
                                              "oidc-issuer-url",
                                              "oidc-username-claim",
                                              "oidc-username-prefix",
                                              "profiling",
                                              "request-timeout",
                                              "runtime-config",
                                              "service-account-extend-token-expiration",
                                              "service-account-lookup",
                                              "tls-cipher-suites",
                                              "tls-min-version",
                                              "v",
                                              "watch-cache",
                                              "watch-cache-sizes"};
  for (const std::string& argument : arguments) {
    std::string flag = argument.substr(0, argument.find('='));
    if (known.count(flag) == 0) Fatal("apiserver exited: unknown flag: --" + flag);
  }
}

std::string Strip(const std::string& text) {
  size_t from = text.find_first_not_of(" \t\r\n");
  if (from == std::string::npos) return "";
  return text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

// K3s waits for a token file for ever.
std::string AwaitToken(const std::string& path) {
  for (;;) {
    std::ifstream in(path);
    if (in) {
      std::stringstream text;
      text << in.rdbuf();
      return Strip(text.str());
    }
    Log("info", "Waiting for " + path + " to be available");
    std::this_thread::sleep_for(std::chrono::seconds(2));
  }
}

std::vector<std::string> AsList(const YAML::Node& node) {
  std::vector<std::string> out;
  if (node.IsSequence()) {
    for (const auto& item : node) out.push_back(item.as<std::string>());
  } else {
    out.push_back(node.as<std::string>());
  }
  return out;
}

std::string Env(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string Settings::LocalAddress() const {
  return node_ip.rfind("127.", 0) == 0 ? node_ip : "127.0.0.1";
}

std::string Settings::NodePasswordFile() const {
  size_t slash = config_file.rfind('/');
  std::string dir = slash == std::string::npos ? "." : config_file.substr(0, slash);
  return dir + "/../node/password";
}

Faults ReadFaults() {
  Faults faults;
  std::stringstream words(Env("BASALT_DOUBLE_FAULTS"));
  for (std::string word; std::getline(words, word, ',');) {
    if (word == "exit")
      faults.exit_at_once = true;
    else if (word == "never-ready")
      faults.never_ready = true;
    else if (word == "hang")
      faults.hang = true;
    else if (word == "ignore-sigterm")
      faults.ignore_sigterm = true;
    else if (word == "node-not-ready")
      faults.node_not_ready = true;
    else if (!word.empty())
      Fatal("BASALT_DOUBLE_FAULTS: unknown fault " + word);
  }
  if (std::string ms = Env("BASALT_DOUBLE_STARTUP_MS"); !ms.empty())
    faults.startup_ms = atoi(ms.c_str());
  if (std::string ms = Env("BASALT_DOUBLE_RETRY_MS"); !ms.empty())
    faults.retry_ms = atoi(ms.c_str());
  return faults;
}

Settings ReadSettings(bool server, const std::vector<std::string>& args) {
  Settings s;
  s.server = server;
  s.config_file = Env("K3S_CONFIG_FILE");
  bool named = !s.config_file.empty();
  for (size_t i = 0; i < args.size(); ++i) {
    if ((args[i] == "--config" || args[i] == "-c") && i + 1 < args.size()) {
      s.config_file = args[++i];
      named = true;
    } else if (args[i].rfind("--config=", 0) == 0) {
      s.config_file = args[i].substr(9);
      named = true;
    } else if (args[i] == "--cluster-reset" && server) {
      s.cluster_reset = true;
    } else if (args[i].rfind("--cluster-reset-restore-path=", 0) == 0 && server) {
      continue;
    } else {
      Usage("flag provided but not defined: " +
            args[i].substr(args[i].rfind("--", 0) == 0 ? 1 : 0));
    }
  }
  if (s.config_file.empty()) s.config_file = "/etc/rancher/k3s/config.yaml";
  struct stat info {};
  YAML::Node file;
  if (stat(s.config_file.c_str(), &info) == 0) {
    try {
      file = YAML::LoadFile(s.config_file);
    } catch (const YAML::Exception& error) {
      Fatal(error.what());
    }
  } else if (named) {
    Fatal("stat " + s.config_file + ": no such file or directory");
  }
  std::string token_file, agent_token_file;
  try {
    for (const auto& entry : file) {
      std::string key = entry.first.as<std::string>();
      const YAML::Node& value = entry.second;
      if ((server ? ServerKeys() : AgentKeys()).count(key) == 0) {
        Usage("flag provided but not defined: -" + key);
      }
      if (key == "data-dir")
        s.data_dir = value.as<std::string>();
      else if (key == "node-name")
        s.node_name = value.as<std::string>();
      else if (key == "node-ip")
        s.node_ip = AsList(value).at(0);
      else if (key == "bind-address")
        s.bind_address = value.as<std::string>();
      else if (key == "https-listen-port")
        s.https_port = value.as<int>();
      else if (key == "lb-server-port")
        s.lb_port = value.as<int>();
      else if (key == "token")
        s.token = value.as<std::string>();
      else if (key == "token-file")
        token_file = value.as<std::string>();
      else if (key == "agent-token")
        s.agent_token = value.as<std::string>();
      else if (key == "agent-token-file")
        agent_token_file = value.as<std::string>();
      else if (key == "kube-apiserver-arg")
        CheckApiserverArguments(AsList(value));
      else if (key == "server")
        s.server_url = value.as<std::string>();
      else if (key == "write-kubeconfig")
        s.write_kubeconfig = value.as<std::string>();
      else if (key == "resolv-conf")
        s.resolv_conf = value.as<std::string>();
      else if (key == "tls-san")
        s.tls_sans = AsList(value);
      else if (key == "node-label")
        s.node_labels = AsList(value);
      else if (key == "node-taint")
        s.node_taints = AsList(value);
      else if (key == "cluster-init")
        s.cluster_init = value.as<bool>();
      else if (key == "cluster-reset")
        s.cluster_reset = value.as<bool>();
      else if (key == "disable-agent")
        s.disable_agent = value.as<bool>();
    }
  } catch (const YAML::Exception& error) {
    Fatal(std::string("invalid value in ") + s.config_file + ": " + error.what());
  }
  if (s.node_name.empty()) {
    char host[256] = {};
    gethostname(host, sizeof host - 1);
    s.node_name = host;
  }
  if (s.write_kubeconfig.empty()) {
    size_t slash = s.config_file.rfind('/');
    s.write_kubeconfig = s.config_file.substr(0, slash + 1) + "k3s.yaml";
  }
  if (!token_file.empty()) s.token = AwaitToken(token_file);
  if (!agent_token_file.empty()) s.agent_token = AwaitToken(agent_token_file);
  if (!server) {
    if (s.token.empty()) Fatal("--token is required");
    if (s.server_url.empty()) Fatal("--server is required");
  }
  return s;
}

}  // namespace basalt::k3s_double
