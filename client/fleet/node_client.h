// One node over the network: TLS 1.3, its identity checked against the pin before anything is sent,
// deadlines everywhere. Calls block. One client is one connection; Fresh() makes another.
//
// Errors are what the node said (api/grpc_status.h), or one of: unreachable, timeout, not-a-node,
// tls-version,
// fingerprint-mismatch, not-pinned, connection-closed (with what is wrong with our own certificate
// when that can be seen from here), certificate-expired.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "basalt/v1/diagnose_service.pb.h"
#include "basalt/v1/node_service.pb.h"
#include "basalt/v1/resource_service.pb.h"
#include "basalt/v1/schema.pb.h"

namespace basalt::client {

// Whom we expect and as whom we come.
struct Dial {
  std::string name;
  std::string endpoint;         // HOST:PORT
  std::string fingerprint;      // pinned; empty: only a certificate of `ca_pem` will do
  std::string cluster;          // of basalt://CLUSTER/NAME
  std::string ca_pem;           // the owner's authority; may be empty
  std::string certificate_pem;  // what we show; empty: nothing
  std::string key_pem;
  bool trust_any = false;  // `pin --tofu`: any identity, only to look at it; Hello alone is allowed
};

// A plan hashes what is stored and may read a disk that is slow.
inline constexpr absl::Duration kPlanTimeout = absl::Seconds(90);
// What the node knows by heart.
inline constexpr absl::Duration kShortTimeout = absl::Seconds(20);
inline constexpr absl::Duration kHelloTimeout = absl::Seconds(20);

class NodeClient {
 public:
  virtual ~NodeClient() = default;

  virtual absl::StatusOr<v1::HelloReply> Hello(absl::Duration timeout) = 0;
  // The documents of the node's release. FailedPrecondition/"no-schema" of one that serves none.
  virtual absl::StatusOr<v1::ServedSchema> GetSchema() = 0;
  virtual absl::StatusOr<v1::PlanReply> Plan(const v1::PlanRequest& request,
                                             absl::Duration timeout) = 0;
  // Calls `on_event` for each event; false from it ends the call. OK when the stream ended well,
  // which need not have brought a final event.
  virtual absl::Status Apply(const v1::ApplyRequest& request, absl::Time deadline,
                             const std::function<bool(const v1::ApplyEvent&)>& on_event) = 0;
  virtual absl::StatusOr<v1::ApplyTrustReply> ApplyTrust(const v1::ApplyTrustRequest& request) = 0;
  virtual absl::StatusOr<v1::ApplyActionReply> ApplyAction(
      const v1::ApplyActionRequest& request) = 0;
  virtual absl::Status Return(const std::string& token) = 0;
  virtual absl::StatusOr<v1::ConfirmReply> Confirm(const std::string& digest) = 0;
  virtual absl::StatusOr<v1::CancelReply> Cancel(const std::string& digest) = 0;
  virtual absl::StatusOr<v1::HistoryReply> History(int limit,
                                                   absl::Duration timeout = kShortTimeout) = 0;
  virtual absl::StatusOr<v1::GetConfigReply> GetConfig(int64_t generation) = 0;
  // `on_data` as for Apply.
  virtual absl::Status Logs(const v1::LogsRequest& request,
                            const std::function<bool(const std::string&)>& on_data) = 0;
  virtual absl::StatusOr<v1::KubeconfigReply> Kubeconfig() = 0;
  virtual absl::StatusOr<v1::ProbeReply> Probe(const v1::ProbeRequest& request) = 0;
  // `on_reply` as for Apply; the last one has the summary.
  virtual absl::Status Capture(const v1::CaptureRequest& request,
                               const std::function<bool(const v1::CaptureReply&)>& on_reply) = 0;
  virtual absl::StatusOr<v1::Resource> Get(const std::string& kind, const std::string& name) = 0;
  virtual absl::StatusOr<v1::ListReply> List(const std::string& kind) = 0;

  // Another connection to the same node, at `endpoint` when it is not empty.
  virtual std::unique_ptr<NodeClient> Fresh(const std::string& endpoint) const = 0;
  // SPKI fingerprint that the node showed; empty before the first handshake.
  virtual std::string seen_fingerprint() const = 0;
};

// Does not connect yet. FailedPrecondition/"not-pinned" when nothing says whom to expect.
absl::StatusOr<std::unique_ptr<NodeClient>> Connect(const Dial& dial);

}  // namespace basalt::client
