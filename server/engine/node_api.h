// What the RPC layer sees of the node. Implemented by the engine (server/engine/node.h) and by a
// fake in tests/support. Every method may be called from any thread and returns at once; results
// come through callbacks, on any thread, exactly once. Reads are answered from an immutable
// snapshot that the loop swaps.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/node_service.pb.h"
#include "basalt/v1/resource_service.pb.h"
#include "basalt/v1/schema_service.pb.h"

namespace basalt::engine {

// Who calls, from the verified leaf certificate and nothing else.
struct Caller {
  bool authenticated = false;  // a client certificate that the committed config accepts
  std::string name;            // CN or first SAN
  std::string fingerprint;     // lower-hex sha256 of the DER certificate
  std::set<v1::Role> roles;    // closed: an admin has operator, reader and deliver in it
  // Nobody called: the node found the document itself, on a medium or in a cloud's user-data. It is
  // gated by health alone, since nobody can come back.
  bool found = false;
  std::string peer;    // address, or where it was found; for the record
  std::string source;  // what a share is counted by: the address, of IPv6 its /64
  uint64_t connection =
      0;  // distinct per connection; `Return` must come over another one than Apply

  bool Has(v1::Role role) const { return roles.count(role) > 0; }
};

// Receives what becomes of an apply. The last event has `final` set; after it, or after OnError,
// nothing.
class ApplyWatcher {
 public:
  virtual ~ApplyWatcher() = default;
  virtual void OnEvent(const v1::ApplyEvent& event) = 0;
  // The document was not accepted, or the stream cannot go on: nothing was changed by this call.
  virtual void OnError(const absl::Status& status) = 0;
};

// What a listener must serve: changes when a config with another api section executes or reverts.
struct ApiPolicy {
  bool configured = false;  // a config is committed or executing
  v1::Api api;              // resolved; empty before
  std::string cluster;      // metadata.cluster of that config: what O=basalt:CLUSTER:ROLE must name
  bool operator==(const ApiPolicy& other) const;
};

template <typename T>
using Reply = std::function<void(absl::StatusOr<T>)>;

class NodeApi {
 public:
  virtual ~NodeApi() = default;

  virtual v1::HelloReply Hello(const Caller& caller) = 0;
  // What may stand in a document for this node.
  virtual v1::GetSchemaReply GetSchema() = 0;
  virtual absl::StatusOr<v1::GetReply> Get(const v1::GetRequest& request) = 0;
  virtual absl::StatusOr<v1::ListReply> List(const v1::ListRequest& request) = 0;
  virtual absl::StatusOr<v1::HistoryReply> History(const v1::HistoryRequest& request) = 0;
  virtual absl::StatusOr<v1::GetConfigReply> GetConfig(const v1::GetConfigRequest& request) = 0;

  virtual void Plan(const Caller& caller, v1::PlanRequest request, Reply<v1::PlanReply> reply) = 0;
  // ResourceExhausted with reason "busy" when the queue or the caller's share of it is full.
  virtual void Apply(const Caller& caller, v1::ApplyRequest request,
                     std::shared_ptr<ApplyWatcher> watcher) = 0;
  // The caller went away: it gets no more events; the apply goes on.
  virtual void Detach(const std::shared_ptr<ApplyWatcher>& watcher) = 0;
  virtual void ApplyTrust(const Caller& caller, v1::ApplyTrustRequest request,
                          Reply<v1::ApplyTrustReply> reply) = 0;
  virtual void ApplyAction(const Caller& caller, v1::ApplyActionRequest request,
                           Reply<v1::ApplyActionReply> reply) = 0;
  virtual void Return(const Caller& caller, v1::ReturnRequest request,
                      Reply<v1::ReturnReply> reply) = 0;
  virtual void Confirm(const Caller& caller, v1::ConfirmRequest request,
                       Reply<v1::ConfirmReply> reply) = 0;
  virtual void Cancel(const Caller& caller, v1::CancelRequest request,
                      Reply<v1::CancelReply> reply) = 0;
  // Text so far (redacted) and the offset to continue from.
  struct LogChunk {
    std::string data;
    uint64_t next_offset = 0;
  };
  virtual void Logs(const std::string& service, uint64_t from_offset, size_t max_bytes,
                    Reply<LogChunk> reply) = 0;
  virtual void Kubeconfig(const Caller& caller, Reply<v1::KubeconfigReply> reply) = 0;
  virtual void RestartService(const Caller& caller, const std::string& service,
                              Reply<v1::RestartServiceReply> reply) = 0;
};

}  // namespace basalt::engine
