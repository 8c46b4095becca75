#include "tests/support/k3s_double/agent_role.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/k3s_double/http_client.h"
#include "tests/support/k3s_double/http_server.h"
#include "tests/support/k3s_double/process.h"

namespace basalt::k3s_double {
namespace {

void Pause(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// The kubelet's client certificate, against token and node password.
nlohmann::json AwaitCertificate(const Settings& s, const Faults& faults, const std::string& host,
                                int port, const std::string& ca, const std::string& password) {
  Call call;
  call.path = "/v1-k3s/client-kubelet.crt";
  call.ca = ca;
  call.headers = {{"Authorization", BasicAuth("node", password)},
                  {"k3s-Node-Name", s.node_name},
                  {"k3s-Node-Password", NodePassword(s)}};
  for (;; Pause(faults.retry_ms)) {
    Reply reply = Send(host, port, call);
    std::string url = s.server_url + call.path;
    if (reply.status == 200) {
      nlohmann::json pair = nlohmann::json::parse(reply.body, nullptr, false);
      if (pair.is_object()) return pair;
    }
    if (reply.status == 403) {
      Log("error", "Node password rejected, duplicate hostname or contents of '" +
                       s.NodePasswordFile() +
                       "' may not match server node-passwd entry, try enabling a unique node name "
                       "with the --with-node-id flag");
    } else if (reply.status == 401) {
      Log("error", "failed to get CA certs: " + url + ": 401 Unauthorized");
    } else {
      Log("error",
          "failed to retrieve configuration from server: " +
              (reply.status != 0 ? url + ": " + std::to_string(reply.status) : reply.error));
    }
  }
}

void KeepFresh(const Settings& s, const Faults& faults, const std::string& host, int port,
               const std::string& ca, const std::string& certificate, const std::string& key) {
  nlohmann::json node{{"name", s.node_name},
                      {"address", s.node_ip},
                      {"labels", s.node_labels},
                      {"taints", s.node_taints}};
  Call beat;
  beat.method = "PUT";
  beat.path = "/api/v1/nodes/" + s.node_name + "/status";
  beat.ca = ca;
  beat.certificate = certificate;
  beat.key = key;
  beat.body = nlohmann::json{{"ready", !faults.node_not_ready}}.dump();
  Call registration = beat;
  registration.method = "POST";
  registration.path = "/api/v1/nodes";
  registration.body = node.dump();
  for (;;) {
    // A deleted Node does not come back until K3s starts anew: so once.
    if (Send(host, port, registration).status == 200) break;
    Pause(faults.retry_ms);
  }
  for (;; Pause(2000)) {
    if (!Hanging()) Send(host, port, beat);
  }
}

}  // namespace

std::string NodePassword(const Settings& s) {
  std::string password = ReadFile(s.NodePasswordFile());
  while (!password.empty() && (password.back() == '\n' || password.back() == ' '))
    password.pop_back();
  if (password.empty()) {
    password = RandomHex(16);
    WriteFile(s.NodePasswordFile(), password + "\n", 0600);
  }
  return password;
}

void SplitToken(const std::string& token, std::string* ca_hash, std::string* password) {
  ca_hash->clear();
  *password = token;
  if (token.rfind("K10", 0) != 0) return;
  size_t colons = token.find("::");
  if (colons == std::string::npos) return;
  *ca_hash = token.substr(3, colons - 3);
  std::string rest = token.substr(colons + 2);
  size_t colon = rest.find(':');
  *password = colon == std::string::npos ? rest : rest.substr(colon + 1);
}

std::string AwaitServerCa(const std::string& host, int port, const std::string& ca_hash,
                          int retry_ms) {
  Call call;
  call.path = "/cacerts";
  for (;; Pause(retry_ms)) {
    Reply reply = Send(host, port, call);
    if (reply.status != 200) {
      Log("error", "failed to get CA certs: Get \"https://" + host + ":" + std::to_string(port) +
                       "/cacerts\": " +
                       (reply.status != 0 ? std::to_string(reply.status) + " Service Unavailable"
                                          : reply.error));
      continue;
    }
    std::string found = Sha256Hex(reply.body);
    if (!ca_hash.empty() && found != ca_hash) {
      Log("error", "token CA hash does not match the Cluster CA certificate hash: " + ca_hash +
                       " != " + found);
      continue;
    }
    if (ca_hash.empty())
      Log("warning", "Cluster CA certificate is trusted on first use: the token has no CA hash");
    return reply.body;
  }
}

void RunAgent(const Settings& s, const Faults& faults) {
  BlockSignals();
  std::thread([s, faults] {
    std::string host, ca_hash, password;
    int port = 0;
    if (!SplitUrl(s.server_url, &host, &port)) Fatal("invalid server url: " + s.server_url);
    SplitToken(s.token, &ca_hash, &password);
    ServeProxy(s.LocalAddress(), s.lb_port, host, port);
    Log("info", "Running load balancer " + s.LocalAddress() + ":" + std::to_string(s.lb_port) +
                    " -> " + host + ":" + std::to_string(port));
    std::string ca = AwaitServerCa(host, port, ca_hash, faults.retry_ms);
    nlohmann::json pair = AwaitCertificate(s, faults, host, port, ca, password);
    std::string certificate = pair.value("certificate", ""), key = pair.value("key", "");
    WriteFile(s.data_dir + "/agent/server-ca.crt", ca, 0644);
    WriteFile(s.data_dir + "/agent/client-ca.crt", pair.value("clientCa", ""), 0644);
    WriteFile(s.data_dir + "/agent/client-kubelet.crt", certificate, 0644);
    WriteFile(s.data_dir + "/agent/client-kubelet.key", key, 0600);
    Pause(faults.startup_ms);
    Handler healthy = [faults](const Request& request) {
      if (request.path != "/healthz") return Response{404, "404 page not found\n"};
      return faults.never_ready ? Response{500, "not yet\n"} : Response{200, "ok"};
    };
    Serve(s.LocalAddress(), 10248, nullptr, healthy);
    Serve(s.LocalAddress(), 10256, nullptr, healthy);
    StartShim(s.data_dir);
    if (!faults.never_ready) {
      NotifyReady();
      Log("info", "k3s agent is up and running");
    }
    KeepFresh(s, faults, host, port, ca, certificate, key);
  }).detach();
  AwaitEnd(faults.ignore_sigterm);
}

}  // namespace basalt::k3s_double
