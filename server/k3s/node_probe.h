// What the K3s on this node says of itself, asked over its own endpoints; see the readiness ladder
// in README.md. An interface, so that the controller is tested without sockets.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace basalt::k3s {

struct ProbeTarget {
  bool server = true;
  std::string address;        // where 6443 is
  std::string local_address;  // where K3s opens what it opens on loopback
  int https_port = 6443;
  int lb_port = 6444;
  std::string node_name;
  std::string data_dir;  // absolute
  // When this process of K3s started, by the wall clock. The Node object outlives the kubelet by 40
  // s: a Ready that was posted before this says nothing.
  absl::Time started = absl::InfinitePast();
};

struct ProbeResult {
  bool ping = false;    // the supervisor part answers (of an agent: through its load balancer)
  bool readyz = false;  // the apiserver is ready; of an agent: kubelet and kube-proxy are,
                        // also while its servers do not answer
  bool node_seen = false;
  bool node_ready = false;
  absl::Time heartbeat = absl::InfinitePast();  // when the kubelet last posted it
  std::string detail;                           // why the first rung that failed did
  std::string kubelet_version;                  // "v1.30.4+k3s1"
  std::string ca_hash;                          // of a server
  bool is_double = false;                       // it says that it is the test double
  std::map<std::string, std::string> labels;    // of the Node
  // When the first of its certificates ends. K3s renews them at a start, in their last 90 days.
  absl::Time certificates_end = absl::InfiniteFuture();
};

// Label changes: a value sets, nullopt removes.
using LabelPatch = std::map<std::string, std::optional<std::string>>;

class NodeProbe {
 public:
  virtual ~NodeProbe() = default;
  // Both block for at most some 15 s and are called on the pool, one at a time.
  virtual ProbeResult Probe(const ProbeTarget& target) = 0;
  // PermissionDenied when the node may not change these labels itself, Unavailable else.
  virtual absl::Status PatchLabels(const ProbeTarget& target, const LabelPatch& patch) = 0;
};

std::shared_ptr<NodeProbe> MakeNodeProbe();

// Where K3s opens its loopback ports: the node's own address if that is a loopback one.
std::string LocalAddress(const std::string& address);

// Reads the parts that count of a v1.Node; false when it is none.
bool ReadNode(const std::string& json, ProbeResult* result);
// The earliest end of these PEM certificates; those that cannot be read do not count.
absl::Time EarliestEnd(const std::vector<std::string>& certificates);
std::string PatchJson(const LabelPatch& patch);

}  // namespace basalt::k3s
