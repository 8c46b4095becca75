#include "server/rpc/gate.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/access_table.h"
#include "api/coded_status.h"
#include "api/grpc_status.h"

namespace basalt::rpc {
namespace {

constexpr size_t kUnconfiguredMessageBytes = 2 << 20;

std::string LeafPem(const grpc::AuthContext& context) {
  std::vector<grpc::string_ref> values = context.FindPropertyValues("x509_pem_cert");
  return values.size() == 1 ? std::string(values[0].data(), values[0].size()) : "";
}

absl::Status TooMuch(absl::string_view reason, absl::string_view message, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kResourceExhausted, reason, message, hint);
}

absl::Status Check(absl::string_view path, const ClientPolicy& policy,
                   const std::optional<Identity>& identity) {
  api::AccessQuery query{.configured = policy.policy().configured,
                         .anonymous_delivery = policy.policy().api.anonymous_delivery()};
  absl::Status refused;
  if (identity) {
    refused = identity->refused;
    query.authenticated = refused.ok();
    query.roles = identity->roles;
  }
  absl::Status status = api::AccessTable::Get().Check(path, query);
  // A refused certificate says more than "a certificate is needed".
  return !status.ok() && !refused.ok() ? refused : status;
}

}  // namespace

Gate::Gate(const Limits& limits, Acceptor& acceptor, std::shared_ptr<const ClientPolicy> policy)
    : limits_(limits), acceptor_(acceptor), policy_(std::move(policy)) {}

std::shared_ptr<const ClientPolicy> Gate::policy() const {
  absl::MutexLock lock(&mu_);
  return policy_;
}

void Gate::SetPolicy(std::shared_ptr<const ClientPolicy> policy) {
  absl::MutexLock lock(&mu_);
  policy_.swap(policy);
}

void Gate::AddLive(int change) {
  absl::MutexLock lock(&live_mu_);
  live_ += change;
}

void Gate::AwaitIdle() const {
  auto idle = [this] {
    live_mu_.AssertReaderHeld();
    return live_ == 0;
  };
  absl::MutexLock lock(&live_mu_);
  live_mu_.Await(absl::Condition(&idle));
}

absl::Status Gate::Authorize(absl::string_view path, const std::string& leaf_pem) const {
  std::shared_ptr<const ClientPolicy> now = policy();
  std::optional<Identity> identity;
  if (!leaf_pem.empty()) identity = now->Identify(leaf_pem, absl::Now());
  return Check(path, *now, identity);
}

absl::StatusOr<Admission> Gate::Admit(const grpc::CallbackServerContext& context,
                                      const google::protobuf::Message& request) {
  Admission admission;
  engine::Caller& caller = admission.caller;
  Ticket& ticket = admission.ticket;
  std::string peer = context.peer();
  caller.peer = NormalizePeer(peer);
  absl::StatusOr<SocketAddress> address = ParseListenAddress(caller.peer);
  caller.source = address.ok() ? SourceOf(*address) : caller.peer;
  caller.connection = acceptor_.IdOf(peer);
  if (caller.connection == 0) {
    return api::Coded(absl::StatusCode::kUnavailable, "connection-ended",
                      "the connection has ended");
  }
  std::shared_ptr<const ClientPolicy> now = policy();
  std::string leaf = LeafPem(*context.auth_context());
  std::optional<Identity> identity;
  if (!leaf.empty()) identity = now->Identify(leaf, absl::Now());
  const absl::string_view path = api::AccessTable::Get().PathOf(*request.GetDescriptor());
  if (absl::Status status = Check(path, *now, identity); !status.ok()) return status;
  if (identity && identity->refused.ok()) {
    caller.authenticated = true;
    caller.name = std::move(identity->name);
    caller.fingerprint = std::move(identity->fingerprint);
    caller.roles = std::move(identity->roles);
    acceptor_.NoteAuthenticated(caller.connection, leaf, identity->not_after);
    return admission;
  }

  const size_t message_bytes = request.ByteSizeLong();
  bool unconfigured = !now->policy().configured;
  size_t limit = unconfigured ? kUnconfiguredMessageBytes
                              : static_cast<size_t>(limits_.anonymous_message_bytes);
  if (message_bytes > limit) {
    return TooMuch("too-large",
                   absl::StrCat("a message of ", message_bytes, " bytes; without a certificate ",
                                limit, " are taken"),
                   "use a client certificate with the role deliver");
  }
  if (!acceptor_.BeginAnonymousCall(caller.connection)) {
    return TooMuch("one-call", "without a certificate a connection has one call at a time",
                   "end the other call, or use a client certificate");
  }
  ticket.gate_ = this;
  ticket.connection_ = caller.connection;
  if (message_bytes > static_cast<size_t>(limits_.anonymous_message_bytes)) {
    if (big_message_taken_.exchange(true)) {
      return TooMuch("busy", "another big message without a certificate is being looked at",
                     "try again in a moment");
    }
    ticket.big_message_ = true;
  }
  return admission;
}

Ticket& Ticket::operator=(Ticket&& other) noexcept {
  if (this == &other) return *this;
  Release();
  gate_ = other.gate_;
  connection_ = std::exchange(other.connection_, 0);
  big_message_ = std::exchange(other.big_message_, false);
  return *this;
}

void Ticket::MessageDone() {
  if (std::exchange(big_message_, false)) gate_->big_message_taken_ = false;
}

void Ticket::Release() {
  MessageDone();
  uint64_t connection = std::exchange(connection_, 0);
  if (connection != 0) gate_->acceptor_.EndAnonymousCall(connection);
}

grpc::Status Authorizer::Process(const InputMetadata& metadata, grpc::AuthContext* context,
                                 OutputMetadata*, OutputMetadata*) {
  // ":path" is what gRPC dispatches by; nothing else that the client wrote is looked at.
  auto path = metadata.find(":path");
  absl::Status status = gate_.Authorize(
      path == metadata.end() ? absl::string_view()
                             : absl::string_view(path->second.data(), path->second.size()),
      LeafPem(*context));
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      api::WithReasonPrefix(api::Reason(status), status.message()));
}

absl::Status MaskSignatureFault(const engine::Caller& caller, const absl::Status& status) {
  if (caller.authenticated || status.ok()) return status;
  static const std::set<std::string>* const kFaults = new std::set<std::string>{
      "bad-signature", "unknown-key", "no-signatures", "too-few-signers", "revoked-key",
      "unknown-scheme", "duplicate-signer", "wrong-type", "too-many-signatures", "bad-proof",
      "unsupported-proof",
      // Of a trust chain: `bad-signature` when it names one of our keys, this when it does not.
      "foreign-chain"};
  if (kFaults->count(api::Reason(status)) == 0) return status;
  return api::Coded(absl::StatusCode::kPermissionDenied, "signature-refused",
                    "the node does not accept the document's signatures",
                    "`nodectl verify -f FILE --trust trust.json` names the cause");
}

}  // namespace basalt::rpc
