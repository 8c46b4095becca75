#include "server/k3s/node_probe.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/x509.h"
#include "server/k3s/http_call.h"

namespace basalt::k3s {
namespace {

using nlohmann::json;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string Why(const std::string& what, const HttpAnswer& answer) {
  return answer.status == 0 ? absl::StrCat(what, ": ", answer.error)
                            : absl::StrCat(what, " answers ", answer.status);
}

// The API as this node may use it: administrator of a server, itself on an agent.
HttpCall ApiCall(const ProbeTarget& target) {
  HttpCall call;
  call.tls = true;
  if (target.server) {
    const std::string tls = target.data_dir + "/server/tls/";
    call.address = target.address;
    call.port = target.https_port;
    call.ca_pem = ReadFile(tls + "server-ca.crt");
    call.certificate_pem = ReadFile(tls + "client-admin.crt");
    call.key_pem = ReadFile(tls + "client-admin.key");
  } else {
    const std::string agent = target.data_dir + "/agent/";
    call.address = target.local_address;
    call.port = target.lb_port;
    call.ca_pem = ReadFile(agent + "server-ca.crt");
    call.certificate_pem = ReadFile(agent + "client-kubelet.crt");
    call.key_pem = ReadFile(agent + "client-kubelet.key");
  }
  return call;
}

bool Healthy(const ProbeTarget& target, int port, const char* what, ProbeResult* result) {
  HttpCall call;
  call.address = target.local_address;
  call.port = port;
  call.path = "/healthz";
  HttpAnswer answer = Send(call);
  if (answer.status == 200) return true;
  result->detail = Why(what, answer);
  return false;
}

absl::Time CertificatesEnd(const ProbeTarget& target) {
  std::vector<std::string> certificates;
  for (const char* name : {"client-kubelet", "serving-kubelet", "client-kube-proxy"})
    certificates.push_back(ReadFile(absl::StrCat(target.data_dir, "/agent/", name, ".crt")));
  if (target.server) {
    for (const char* name : {"client-admin", "serving-kube-apiserver", "client-kube-apiserver",
                             "client-controller", "client-scheduler"})
      certificates.push_back(ReadFile(absl::StrCat(target.data_dir, "/server/tls/", name, ".crt")));
  }
  return EarliestEnd(certificates);
}

class RealProbe : public NodeProbe {
 public:
  ProbeResult Probe(const ProbeTarget& target) override {
    ProbeResult result;
    HttpCall ping = ApiCall(target);
    if (target.server && !ping.ca_pem.empty()) result.ca_hash = Sha256(ping.ca_pem).Hex();
    const bool have_certificates = !ping.ca_pem.empty() && !ping.certificate_pem.empty();
    ping.certificate_pem.clear();
    ping.path = "/ping";
    HttpAnswer answer = Send(ping);
    result.ping = answer.status == 200;
    if (!result.ping) {
      result.detail = Why("/ping", answer);
      // An agent's goes through to its servers: while those are away it may be well itself.
      ProbeResult aside;
      result.readyz = !target.server && Healthy(target, 10248, "kubelet", &aside) &&
                      Healthy(target, 10256, "kube-proxy", &aside);
      return result;
    }
    ping.path = "/v1-k3s/double";  // a real K3s knows no such path
    answer = Send(ping);
    result.is_double = answer.status == 200 && absl::StrContains(answer.body, "\"double\":true");
    if (!have_certificates) {
      result.detail = "K3s has not made its certificates yet";
      return result;
    }
    if (target.server) {
      HttpCall readyz = ApiCall(target);
      readyz.path = "/readyz";
      answer = Send(readyz);
      result.readyz = answer.status == 200;
      if (!result.readyz) result.detail = Why("/readyz", answer);
    } else {
      result.readyz = Healthy(target, 10248, "kubelet", &result) &&
                      Healthy(target, 10256, "kube-proxy", &result);
    }
    if (!result.readyz) return result;
    result.certificates_end = CertificatesEnd(target);
    HttpCall node = ApiCall(target);
    node.path = absl::StrCat("/api/v1/nodes/", target.node_name);
    answer = Send(node);
    if (answer.status != 200) {
      result.detail = answer.status == 404 ? "the Node object is not there yet"
                                           : Why("the Node object", answer);
    } else if (!ReadNode(answer.body, &result)) {
      result.detail = "the Node object cannot be read";
    } else if (result.node_ready && result.heartbeat < target.started) {
      result.node_ready = false;
      result.detail =
          "the Node was Ready before this start of K3s, and its kubelet has not said so since";
    }
    return result;
  }

  absl::Status PatchLabels(const ProbeTarget& target, const LabelPatch& patch) override {
    HttpCall call = ApiCall(target);
    call.method = "PATCH";
    call.path = absl::StrCat("/api/v1/nodes/", target.node_name);
    call.headers = {{"Content-Type", "application/strategic-merge-patch+json"}};
    call.body = PatchJson(patch);
    call.timeout = absl::Seconds(10);
    HttpAnswer answer = Send(call);
    if (answer.status == 200) return absl::OkStatus();
    if (answer.status == 401 || answer.status == 403) {
      return api::Coded(absl::StatusCode::kPermissionDenied, "node-labels-refused",
                        "Kubernetes does not let this node change these labels of itself",
                        "set them with `kubectl label node`, or use another prefix");
    }
    return api::Coded(absl::StatusCode::kUnavailable, "node-labels-failed",
                      Why("changing node labels", answer));
  }
};

}  // namespace

std::shared_ptr<NodeProbe> MakeNodeProbe() { return std::make_shared<RealProbe>(); }

std::string LocalAddress(const std::string& address) {
  return absl::StartsWith(address, "127.") || address == "::1" ? address : "127.0.0.1";
}

namespace {

bool ReadNodeObject(const json& node, ProbeResult* result) {
  if (!node.is_object() || node.value("/kind"_json_pointer, json()) != "Node") return false;
  result->node_seen = true;
  result->detail = "the Node has no Ready condition yet";
  json labels = node.value("/metadata/labels"_json_pointer, json::object());
  if (labels.is_object()) {
    for (const auto& [key, value] : labels.items()) {
      if (value.is_string()) result->labels[key] = value.get<std::string>();
    }
  }
  json version = node.value("/status/nodeInfo/kubeletVersion"_json_pointer, json());
  if (version.is_string()) result->kubelet_version = version.get<std::string>();
  json conditions = node.value("/status/conditions"_json_pointer, json::array());
  if (!conditions.is_array()) return true;
  for (const json& condition : conditions) {
    if (!condition.is_object() || !condition.contains("type") || condition["type"] != "Ready")
      continue;
    result->node_ready = condition.contains("status") && condition["status"] == "True";
    json heartbeat = condition.value("/lastHeartbeatTime"_json_pointer, json());
    if (heartbeat.is_string()) {
      absl::ParseTime(absl::RFC3339_full, heartbeat.get<std::string>(), &result->heartbeat,
                      nullptr);
    }
    json message = condition.value("/message"_json_pointer, json(""));
    result->detail = result->node_ready
                         ? ""
                         : absl::StrCat("the Node is not Ready: ",
                                        message.is_string() ? message.get<std::string>() : "");
  }
  return true;
}

}  // namespace

bool ReadNode(const std::string& text, ProbeResult* result) {
  // The one place where the JSON library may throw: members of another type than an object has.
  try {
    return ReadNodeObject(json::parse(text, nullptr, /*allow_exceptions=*/false), result);
  } catch (const json::exception&) {
    return false;
  }
}

absl::Time EarliestEnd(const std::vector<std::string>& certificates) {
  absl::Time end = absl::InfiniteFuture();
  for (const std::string& pem : certificates) {
    absl::StatusOr<sign::CertificateInfo> read = sign::ReadCertificate(pem);
    if (read.ok()) end = std::min(end, read->not_after);
  }
  return end;
}

std::string PatchJson(const LabelPatch& patch) {
  json labels = json::object();
  for (const auto& [key, value] : patch) labels[key] = value ? json(*value) : json(nullptr);
  return json{{"metadata", {{"labels", labels}}}}.dump();
}

}  // namespace basalt::k3s
