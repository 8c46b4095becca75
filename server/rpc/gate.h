// What every call passes: who is it, may it, is its message small enough. One Gate for the life of
// the server; the policy in it is swapped. Thread-safe, never blocks.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/server_context.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/node_api.h"
#include "server/rpc/acceptor.h"
#include "server/rpc/identity.h"

namespace basalt::rpc {

class Gate;

// The places that a call without a certificate takes: its connection's one call, and the right to
// send a big message. Freed by Release or the destructor. Not thread-safe.
class Ticket {
 public:
  Ticket() = default;
  Ticket(Ticket&& other) noexcept { *this = std::move(other); }
  Ticket& operator=(Ticket&& other) noexcept;
  ~Ticket() { Release(); }
  // The big message has been dealt with: the next stranger may send one.
  void MessageDone();
  void Release();

 private:
  friend class Gate;
  Gate* gate_ = nullptr;
  uint64_t connection_ = 0;  // 0: no place taken
  bool big_message_ = false;
};

struct Admission {
  engine::Caller caller;
  Ticket ticket;
};

class Gate {
 public:
  Gate(const Limits& limits, Acceptor& acceptor, std::shared_ptr<const ClientPolicy> policy);

  std::shared_ptr<const ClientPolicy> policy() const;
  void SetPolicy(std::shared_ptr<const ClientPolicy> policy);
  const Limits& limits() const { return limits_; }

  // May the holder of `leaf_pem` (empty: nobody) call `path`? Default deny.
  absl::Status Authorize(absl::string_view path, const std::string& leaf_pem) const;

  // Once the message is there: a caller may have kept it back since Authorize let the headers in,
  // so the policy of now judges again. What Authorize says, Unavailable/"connection-ended",
  // ResourceExhausted/"one-call" or "too-large" or "busy".
  absl::StatusOr<Admission> Admit(const grpc::CallbackServerContext& context,
                                  const google::protobuf::Message& request);

  // Every call has one from its first moment until gRPC has let go of it. What the calls use (the
  // engine, this object) may go once AwaitIdle has returned.
  class LiveCall {
   public:
    explicit LiveCall(Gate& gate) : gate_(gate) { gate_.AddLive(1); }
    ~LiveCall() { gate_.AddLive(-1); }
    LiveCall(const LiveCall&) = delete;
    LiveCall& operator=(const LiveCall&) = delete;

   private:
    Gate& gate_;
  };
  void AwaitIdle() const;

 private:
  friend class Ticket;
  void AddLive(int change);

  const Limits limits_;
  Acceptor& acceptor_;
  std::atomic<bool> big_message_taken_{false};
  mutable absl::Mutex mu_;
  std::shared_ptr<const ClientPolicy> policy_ ABSL_GUARDED_BY(mu_);
  mutable absl::Mutex live_mu_;
  int live_ ABSL_GUARDED_BY(live_mu_) = 0;
};

// Refuses a call before its handler runs; interceptors cannot (they run beside the handler).
class Authorizer : public grpc::AuthMetadataProcessor {
 public:
  explicit Authorizer(const Gate& gate) : gate_(gate) {}
  bool IsBlocking() const override { return false; }
  // Details of a status do not reach the client from here: the reason leads the message.
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context,
                       OutputMetadata* consumed, OutputMetadata* response) override;

 private:
  const Gate& gate_;
};

// Until its signatures pass, a document of a caller without a certificate gets one answer for every
// fault of them: a stranger learns nothing of the keys that the node knows. Other errors, and
// errors of known callers, come back as they are.
absl::Status MaskSignatureFault(const engine::Caller& caller, const absl::Status& status);

}  // namespace basalt::rpc
