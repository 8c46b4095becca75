#include "tests/support/k3s_double/server_role.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/k3s_double/agent_role.h"
#include "tests/support/k3s_double/cluster_state.h"
#include "tests/support/k3s_double/http_client.h"
#include "tests/support/k3s_double/http_server.h"
#include "tests/support/k3s_double/pki.h"
#include "tests/support/k3s_double/process.h"

namespace basalt::k3s_double {
namespace {

using nlohmann::json;

struct Server {
  Settings settings;
  Faults faults;
  KeyPair server_ca, client_ca;
  std::string token, agent_token;
  std::unique_ptr<ClusterState> state;
  std::atomic<bool> serving{false}, ready{false};
};

KeyPair LoadOrMake(const std::string& stem, const std::string& name) {
  KeyPair pair{ReadFile(stem + ".crt"), ReadFile(stem + ".key")};
  if (!pair.certificate.empty() && !pair.key.empty()) return pair;
  pair = MakeCa(name + "@" + std::to_string(time(nullptr)));
  WriteFile(stem + ".crt", pair.certificate, 0644);
  WriteFile(stem + ".key", pair.key, 0600);
  return pair;
}

// The CAs of the cluster that this server joins.
void Bootstrap(const Settings& s, const Faults& faults) {
  std::string host, ca_hash, password;
  int port = 0;
  if (!SplitUrl(s.server_url, &host, &port)) Fatal("invalid server url: " + s.server_url);
  SplitToken(s.token, &ca_hash, &password);
  Call call;
  call.path = "/v1-k3s/server-bootstrap";
  call.ca = AwaitServerCa(host, port, ca_hash, faults.retry_ms);
  call.headers = {{"Authorization", BasicAuth("server", password)}};
  for (;;) {
    Reply reply = Send(host, port, call);
    json files = json::parse(reply.body, nullptr, false);
    if (reply.status == 200 && files.is_object()) {
      for (const auto& [name, content] : files.items()) {
        WriteFile(s.data_dir + "/server/tls/" + name, content.get<std::string>(), 0600);
      }
      return;
    }
    Log("error", "starting kubernetes: preparing server: failed to get bootstrap data: " +
                     (reply.status == 401 ? std::string("401 Unauthorized") : reply.error));
    std::this_thread::sleep_for(std::chrono::milliseconds(faults.retry_ms));
  }
}

// The token is the passphrase of the bootstrap data: another one later is fatal.
void CheckBootstrapToken(Server& server) {
  const Settings& s = server.settings;
  std::string file = s.data_dir + "/server/db/bootstrap";
  std::string stored = ReadFile(file);
  std::string ca_hash;
  SplitToken(s.token, &ca_hash, &server.token);
  if (server.token.empty()) {
    std::string kept = ReadFile(s.data_dir + "/server/token");
    SplitToken(kept.substr(0, kept.find('\n')), &ca_hash, &server.token);
    if (server.token.empty()) server.token = RandomHex(16);
  }
  std::string hash = Sha256Hex("bootstrap:" + server.token);
  if (!stored.empty() && stored != hash) {
    Fatal(
        "starting kubernetes: preparing server: bootstrap data already found and encrypted with "
        "different token");
  }
  if (stored.empty()) WriteFile(file, hash, 0600);
  server.agent_token = s.agent_token.empty() ? server.token : s.agent_token;
}

void WriteTokens(const Server& server) {
  const std::string dir = server.settings.data_dir + "/server/";
  std::string prefix = "K10" + Sha256Hex(server.server_ca.certificate) + "::";
  WriteFile(dir + "token", prefix + "server:" + server.token + "\n", 0600);
  WriteFile(dir + "agent-token", prefix + "node:" + server.agent_token + "\n", 0600);
  unlink((dir + "node-token").c_str());
  if (symlink((dir + "token").c_str(), (dir + "node-token").c_str()) != 0)
    Log("warning", "node-token not linked");
}

void WriteKubeconfig(const Server& server, const KeyPair& admin) {
  const Settings& s = server.settings;
  std::string address =
      s.bind_address.empty() || s.bind_address == "0.0.0.0" ? "127.0.0.1" : s.bind_address;
  WriteFile(s.write_kubeconfig,
            "# K3S DOUBLE\napiVersion: v1\nkind: Config\nclusters:\n- name: default\n  cluster:\n  "
            "  server: https://" +
                address + ":" + std::to_string(s.https_port) + "\n",
            0600);
  WriteFile(s.data_dir + "/server/tls/client-admin.crt", admin.certificate, 0644);
  WriteFile(s.data_dir + "/server/tls/client-admin.key", admin.key, 0600);
}

enum class Who { kNobody, kAdmin, kNode };

Who Identify(const Request& request, std::string* node) {
  if (!request.client_certificate) return Who::kNobody;
  if (request.organization == "system:masters") return Who::kAdmin;
  const std::string prefix = "system:node:";
  if (request.organization == "system:nodes" && request.common_name.rfind(prefix, 0) == 0) {
    *node = request.common_name.substr(prefix.size());
    return Who::kNode;
  }
  return Who::kNobody;
}

// What NodeRestriction lets a kubelet change of its own labels.
bool MayLabel(const std::string& patch) {
  json change = json::parse(patch, nullptr, false);
  if (!change.is_object() || !change.contains("metadata")) return false;
  // Named: items() refers to what it is called on, which must outlive the loop.
  const json labels = change["metadata"].value("labels", json::object());
  for (const auto& [key, value] : labels.items()) {
    std::string prefix = key.substr(0, key.find('/') == std::string::npos ? 0 : key.find('/'));
    bool kubernetes =
        prefix == "kubernetes.io" || prefix == "k8s.io" ||
        (prefix.size() > 14 && prefix.substr(prefix.size() - 14) == ".kubernetes.io") ||
        (prefix.size() > 7 && prefix.substr(prefix.size() - 7) == ".k8s.io");
    bool allowed = prefix == "kubelet.kubernetes.io" || prefix == "node.kubernetes.io";
    if (kubernetes && !allowed) return false;
  }
  return true;
}

Response Nodes(Server& server, const Request& request) {
  std::string self;
  Who who = Identify(request, &self);
  if (who == Who::kNobody)
    return {
        401,
        "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"Unauthorized\",\"code\":401}",
        "application/json"};
  Response forbidden{
      403, "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"Forbidden\",\"code\":403}",
      "application/json"};
  const std::string base = "/api/v1/nodes";
  if (request.path == base && request.method == "GET")
    return {200, server.state->List(), "application/json"};
  if (request.path == base && request.method == "POST") {
    json body = json::parse(request.body, nullptr, false);
    if (!body.is_object()) return {400, "bad object"};
    std::string name = body.value("name", "");
    if (who == Who::kNode && name != self) return forbidden;
    server.state->Register(name, body.value("address", ""),
                           body.value("labels", std::vector<std::string>{}),
                           body.value("taints", std::vector<std::string>{}));
    server.state->Heartbeat(name, false);
    return {200, server.state->Get(name), "application/json"};
  }
  std::string name = request.path.substr(base.size() + 1);
  bool status = name.size() > 7 && name.substr(name.size() - 7) == "/status";
  if (status) name.resize(name.size() - 7);
  if (who == Who::kNode && name != self) return forbidden;
  if (server.state->Get(name).empty())
    return {404, "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"code\":404}", "application/json"};
  if (status && request.method == "PUT") {
    server.state->Heartbeat(name, json::parse(request.body, nullptr, false).value("ready", false));
  } else if (request.method == "PATCH") {
    if (who == Who::kNode && !MayLabel(request.body)) return forbidden;
    if (!server.state->Patch(name, request.body)) return {400, "bad patch"};
  } else if (request.method == "DELETE" && who == Who::kAdmin) {
    server.state->Delete(name);
    return {200, "{}", "application/json"};
  } else if (request.method != "GET") {
    return {405, "method not allowed"};
  }
  return {200, server.state->Get(name), "application/json"};
}

bool Authorized(const Request& request, const std::string& user, const std::string& password) {
  auto header = request.headers.find("authorization");
  std::string given_user, given;
  return header != request.headers.end() && ParseBasicAuth(header->second, &given_user, &given) &&
         given_user == user && given == password;
}

Response Join(Server& server, const Request& request) {
  if (!Authorized(request, "node", server.agent_token) &&
      !Authorized(request, "node", server.token)) {
    return {401, "Unauthorized\n"};
  }
  auto name = request.headers.find("k3s-node-name"),
       password = request.headers.find("k3s-node-password");
  if (name == request.headers.end() || password == request.headers.end())
    return {400, "node name and password are needed\n"};
  if (!server.state->CheckNodePassword(name->second, password->second)) {
    return {403, "Node password rejected\n"};
  }
  KeyPair pair = IssueFrom(server.client_ca, "system:node:" + name->second, "system:nodes", {});
  return {200,
          json{{"certificate", pair.certificate},
               {"key", pair.key},
               {"clientCa", server.client_ca.certificate}}
              .dump(),
          "application/json"};
}

Response Answer(Server& server, const Request& request) {
  if (!server.serving) return {503, "starting\n"};
  std::string self;
  const std::string& path = request.path;
  if (path == "/ping") return {200, "pong"};
  if (path == "/cacerts") return {200, server.server_ca.certificate};
  if (path == "/v1-k3s/double") return {200, "{\"double\":true}", "application/json"};
  if (path == "/readyz" || path == "/livez" || path == "/healthz") {
    if (Identify(request, &self) == Who::kNobody) return {401, "Unauthorized"};
    return server.ready ? Response{200, "ok"}
                        : Response{500, "[-]poststarthook failed: not finished\n"};
  }
  if (path == "/v1-k3s/config") {
    if (!Authorized(request, "node", server.agent_token)) return {403, "forbidden\n"};
    return {200, json{{"double", true}, {"nodeName", server.settings.node_name}}.dump(),
            "application/json"};
  }
  if (path == "/v1-k3s/server-bootstrap") {
    if (!Authorized(request, "server", server.token)) return {401, "Unauthorized\n"};
    return {200,
            json{{"server-ca.crt", server.server_ca.certificate},
                 {"server-ca.key", server.server_ca.key},
                 {"client-ca.crt", server.client_ca.certificate},
                 {"client-ca.key", server.client_ca.key}}
                .dump(),
            "application/json"};
  }
  if (path == "/v1-k3s/client-kubelet.crt") return Join(server, request);
  if (path == "/api/v1/nodes" || path.rfind("/api/v1/nodes/", 0) == 0)
    return Nodes(server, request);
  return Identify(request, &self) == Who::kNobody ? Response{401, "Unauthorized"}
                                                  : Response{404, "404 page not found\n"};
}

[[noreturn]] void ClusterReset(const Settings& s) {
  std::string flag = s.data_dir + "/server/db/reset-flag";
  if (access(flag.c_str(), F_OK) == 0) {
    Fatal(
        "cluster-reset was successfully performed, please remove the cluster-reset flag and start "
        "k3s normally");
  }
  WriteFile(flag, "", 0600);
  Log("info",
      "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now");
  _exit(0);
}

}  // namespace

void RunServer(const Settings& s, const Faults& faults) {
  BlockSignals();
  if (s.cluster_reset) ClusterReset(s);
  auto* server = new Server{s, faults};  // of the process, for as long as it lives
  std::thread([server] {
    const Settings& s = server->settings;
    const std::string tls = s.data_dir + "/server/tls/";
    if (!s.server_url.empty() && access((tls + "server-ca.key").c_str(), F_OK) != 0)
      Bootstrap(s, server->faults);
    CheckBootstrapToken(*server);
    unlink((s.data_dir + "/server/db/reset-flag").c_str());
    if (s.cluster_init || !s.server_url.empty())
      MakeDirs(s.data_dir + "/server/db/etcd/member/wal");
    server->server_ca = LoadOrMake(tls + "server-ca", "k3s-server-ca");
    server->client_ca = LoadOrMake(tls + "client-ca", "k3s-client-ca");
    server->state = std::make_unique<ClusterState>(s.data_dir + "/server/db/state.json");
    std::vector<std::string> names = {"localhost", "kubernetes", "127.0.0.1", s.node_name};
    for (const std::string& address : {s.node_ip, s.bind_address}) {
      if (!address.empty() && address != "0.0.0.0") names.push_back(address);
    }
    names.insert(names.end(), s.tls_sans.begin(), s.tls_sans.end());
    KeyPair serving = IssueFrom(server->server_ca, "k3s", "k3s", names);
    TlsFiles files{serving.certificate, serving.key, server->client_ca.certificate};
    Serve(s.bind_address.empty() ? "0.0.0.0" : s.bind_address, s.https_port, &files,
          [server](const Request& request) { return Answer(*server, request); });
    WriteTokens(*server);
    WriteKubeconfig(*server, IssueFrom(server->client_ca, "system:admin", "system:masters", {}));
    MakeDirs(s.data_dir + "/server/manifests");
    MakeDirs(s.data_dir + "/agent/images");
    if (server->faults.hang) {
      Log("info", "hanging, as asked");
      SetHanging(true);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(server->faults.startup_ms));
    server->serving = true;
    if (server->faults.never_ready) return;
    if (!s.disable_agent) {
      server->state->CheckNodePassword(s.node_name, NodePassword(s));
      server->state->Register(s.node_name, s.node_ip, s.node_labels, s.node_taints);
      StartShim(s.data_dir);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(server->faults.startup_ms));
    server->ready = true;
    NotifyReady();
    Log("info", "k3s is up and running");
    for (;;) {
      if (!s.disable_agent && !Hanging())
        server->state->Heartbeat(s.node_name, !server->faults.node_not_ready);
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
  }).detach();
  AwaitEnd(faults.ignore_sigterm);
}

}  // namespace basalt::k3s_double
