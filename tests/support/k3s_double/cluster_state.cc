#include "tests/support/k3s_double/cluster_state.h"

#include <time.h>

#include <nlohmann/json.hpp>

#include "tests/support/k3s_double/process.h"

namespace basalt::k3s_double {
namespace {

using nlohmann::json;

constexpr int64_t kGraceSeconds = 10;  // K3s: 40

int64_t Seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

// What Kubernetes writes: the wall clock then, whole seconds.
std::string Rfc3339(int64_t at) {
  time_t wall = time(nullptr) - (Seconds() - at);
  tm utc{};
  gmtime_r(&wall, &utc);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace

ClusterState::ClusterState(std::string file) : file_(std::move(file)) {
  json stored = json::parse(ReadFile(file_), nullptr, false);
  if (!stored.is_object()) return;
  nodes_ = stored.value("nodes", nodes_);
  passwords_ = stored.value("passwords", passwords_);
}

void ClusterState::Save() {
  WriteFile(file_, json{{"nodes", nodes_}, {"passwords", passwords_}}.dump(), 0600);
}

bool ClusterState::CheckNodePassword(const std::string& node, const std::string& password) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::string hash = Sha256Hex(password);
  auto [at, added] = passwords_.emplace(node, hash);
  if (added) Save();
  return at->second == hash;
}

void ClusterState::Register(const std::string& node, const std::string& address,
                            const std::vector<std::string>& labels,
                            const std::vector<std::string>& taints) {
  std::lock_guard<std::mutex> lock(mutex_);
  bool known = nodes_.count(node) > 0;
  json object = known ? json::parse(nodes_[node])
                      : json{{"kind", "Node"},
                             {"apiVersion", "v1"},
                             {"metadata", {{"name", node}, {"labels", json::object()}}},
                             {"spec", json::object()}};
  json& set = object["metadata"]["labels"];
  set["kubernetes.io/hostname"] = node;
  for (const std::string& label : labels) {
    size_t equal = label.find('=');
    set[label.substr(0, equal)] = equal == std::string::npos ? "" : label.substr(equal + 1);
  }
  if (!known) {
    for (const std::string& taint : taints) {
      size_t colon = taint.rfind(':'), equal = taint.find('=');
      std::string left = taint.substr(0, colon);
      object["spec"]["taints"].push_back(
          {{"key", left.substr(0, equal)},
           {"value", equal == std::string::npos ? "" : left.substr(equal + 1)},
           {"effect", colon == std::string::npos ? "" : taint.substr(colon + 1)}});
    }
  }
  object["metadata"]["annotations"]["k3s.io/internal-ip"] = address;
  nodes_[node] = object.dump();
  Save();
}

void ClusterState::Heartbeat(const std::string& node, bool ready) {
  std::lock_guard<std::mutex> lock(mutex_);
  beats_[node] = {ready, Seconds()};
}

std::string ClusterState::Get(const std::string& node) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto at = nodes_.find(node);
  if (at == nodes_.end()) return "";
  json object = json::parse(at->second);
  Beat beat = beats_[node];
  bool fresh = beat.at != 0 && Seconds() - beat.at <= kGraceSeconds;
  object["status"] = {
      {"conditions",
       {{{"type", "Ready"},
         {"status", !fresh       ? "Unknown"
                    : beat.ready ? "True"
                                 : "False"},
         {"reason", !fresh       ? "NodeStatusUnknown"
                    : beat.ready ? "KubeletReady"
                                 : "KubeletNotReady"},
         {"lastHeartbeatTime", Rfc3339(beat.at)},
         {"message", !fresh ? "K3S DOUBLE: the agent stopped posting" : "K3S DOUBLE"}}}},
      {"nodeInfo", {{"kubeletVersion", kVersion}}}};
  return object.dump();
}

std::string ClusterState::List() {
  std::vector<std::string> names;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [name, object] : nodes_) names.push_back(name);
  }
  json list{{"kind", "NodeList"}, {"apiVersion", "v1"}, {"items", json::array()}};
  for (const std::string& name : names) {
    if (std::string text = Get(name); !text.empty()) list["items"].push_back(json::parse(text));
  }
  return list.dump();
}

bool ClusterState::Patch(const std::string& node, const std::string& patch) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto at = nodes_.find(node);
  json change = json::parse(patch, nullptr, false);
  if (at == nodes_.end() || !change.is_object()) return false;
  json object = json::parse(at->second);
  change.erase("status");
  object.merge_patch(change);
  at->second = object.dump();
  Save();
  return true;
}

void ClusterState::Delete(const std::string& node) {
  std::lock_guard<std::mutex> lock(mutex_);
  nodes_.erase(node);
  passwords_.erase(node);
  beats_.erase(node);
  Save();
}

}  // namespace basalt::k3s_double
