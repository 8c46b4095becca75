#include "client/fleet/node_client.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <stdlib.h>

#include <chrono>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "api/coded_status.h"
#include "api/grpc_library.h"
#include "api/grpc_status.h"
#include "api/tls13.h"
#include "basalt/v1/diagnose_service.grpc.pb.h"
#include "basalt/v1/node_service.grpc.pb.h"
#include "basalt/v1/resource_service.grpc.pb.h"
#include "basalt/v1/schema_service.grpc.pb.h"
#include "client/fleet/identity_check.h"

namespace basalt::client {
namespace {

constexpr absl::Duration kShort = kShortTimeout;
constexpr int kMaxMessage = 8 << 20;
constexpr int kKeepaliveMs = 15000;
constexpr int kKeepaliveTimeoutMs = 5000;

// What the last handshake found: gRPC would bury it in "failed to connect to all addresses".
struct Handshake {
  absl::Mutex mu;
  absl::Status refusal ABSL_GUARDED_BY(mu);
  std::string fingerprint ABSL_GUARDED_BY(mu);
};

class IdentityVerifier : public grpc::experimental::ExternalCertificateVerifier {
 public:
  IdentityVerifier(Dial dial, std::shared_ptr<Handshake> handshake)
      : dial_(std::move(dial)), handshake_(std::move(handshake)) {}

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)>, grpc::Status* sync_status) override {
    const std::string leaf(request->peer_cert().data(), request->peer_cert().size());
    absl::Status status = CheckIdentity(dial_, leaf, absl::Now());
    absl::StatusOr<std::string> seen = SpkiFingerprint(leaf);
    absl::MutexLock lock(&handshake_->mu);
    handshake_->refusal = status;
    if (seen.ok()) handshake_->fingerprint = *seen;
    *sync_status = status.ok() ? grpc::Status::OK
                               : grpc::Status(grpc::StatusCode::UNAUTHENTICATED,
                                              std::string(status.message()));
    return true;
  }
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest*) override {}

 private:
  const Dial dial_;
  const std::shared_ptr<Handshake> handshake_;
};

std::shared_ptr<grpc::Channel> MakeChannel(const Dial& dial, std::shared_ptr<Handshake> handshake) {
  grpc::experimental::TlsChannelCredentialsOptions options;
  // The chain and the host name say nothing here: the identity check below is the authority.
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(
      grpc::experimental::ExternalCertificateVerifier::Create<IdentityVerifier>(dial, handshake));
  if (!dial.certificate_pem.empty()) {
    options.set_certificate_provider(
        std::make_shared<grpc::experimental::StaticDataCertificateProvider>(
            std::vector<grpc::experimental::IdentityKeyCertPair>{
                {dial.key_pem, dial.certificate_pem}}));
    options.watch_identity_key_cert_pairs();
  }
  grpc::ChannelArguments arguments;
  // An apply may take the address away that this connection goes to, and nobody says so: without
  // this the stream waits for ever. The node takes a ping every 10 seconds.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetMaxReceiveMessageSize(kMaxMessage);
  return grpc::CreateCustomChannel(dial.endpoint, grpc::experimental::TlsCredentials(options),
                                   arguments);
}

class GrpcNodeClient : public NodeClient {
 public:
  explicit GrpcNodeClient(Dial dial)
      : dial_(std::move(dial)),
        handshake_(std::make_shared<Handshake>()),
        channel_(MakeChannel(dial_, handshake_)),
        node_(v1::NodeService::NewStub(channel_)),
        resources_(v1::ResourceService::NewStub(channel_)),
        schemas_(v1::SchemaService::NewStub(channel_)),
        diagnose_(v1::DiagnoseService::NewStub(channel_)) {}

  absl::StatusOr<v1::HelloReply> Hello(absl::Duration timeout) override {
    return Call<v1::HelloReply>(*node_, &v1::NodeService::Stub::Hello, v1::HelloRequest(), timeout);
  }
  absl::StatusOr<v1::PlanReply> Plan(const v1::PlanRequest& request,
                                     absl::Duration timeout) override {
    return Call<v1::PlanReply>(*node_, &v1::NodeService::Stub::Plan, request, timeout);
  }
  absl::StatusOr<v1::ApplyTrustReply> ApplyTrust(const v1::ApplyTrustRequest& request) override {
    return Call<v1::ApplyTrustReply>(*node_, &v1::NodeService::Stub::ApplyTrust, request, kShort);
  }
  absl::StatusOr<v1::ApplyActionReply> ApplyAction(const v1::ApplyActionRequest& request) override {
    return Call<v1::ApplyActionReply>(*node_, &v1::NodeService::Stub::ApplyAction, request,
                                      kPlanTimeout);
  }
  absl::StatusOr<v1::ServedSchema> GetSchema() override {
    auto reply = Call<v1::GetSchemaReply>(*schemas_, &v1::SchemaService::Stub::GetSchema,
                                          v1::GetSchemaRequest(), kShort);
    if (reply.ok()) return std::move(*reply->mutable_schema());
    if (absl::IsUnimplemented(reply.status()) || api::Reason(reply.status()) == "unknown-method") {
      return api::Coded(absl::StatusCode::kFailedPrecondition, "no-schema",
                        "the node is of a release that does not serve its schema",
                        "this nodectl knows more than the node does: go by its own, without -n");
    }
    return reply.status();
  }
  absl::Status Return(const std::string& token) override {
    v1::ReturnRequest request;
    request.set_token(token);
    return Call<v1::ReturnReply>(*node_, &v1::NodeService::Stub::Return, request, kShort).status();
  }
  absl::StatusOr<v1::ConfirmReply> Confirm(const std::string& digest) override {
    v1::ConfirmRequest request;
    request.set_digest(digest);
    return Call<v1::ConfirmReply>(*node_, &v1::NodeService::Stub::Confirm, request, kShort);
  }
  absl::StatusOr<v1::CancelReply> Cancel(const std::string& digest) override {
    v1::CancelRequest request;
    request.set_digest(digest);
    return Call<v1::CancelReply>(*node_, &v1::NodeService::Stub::Cancel, request, kPlanTimeout);
  }
  absl::StatusOr<v1::HistoryReply> History(int limit, absl::Duration timeout) override {
    v1::HistoryRequest request;
    request.set_limit(limit);
    return Call<v1::HistoryReply>(*node_, &v1::NodeService::Stub::History, request, timeout);
  }
  absl::StatusOr<v1::GetConfigReply> GetConfig(int64_t generation) override {
    v1::GetConfigRequest request;
    request.set_generation(generation);
    return Call<v1::GetConfigReply>(*node_, &v1::NodeService::Stub::GetConfig, request, kShort);
  }
  absl::StatusOr<v1::KubeconfigReply> Kubeconfig() override {
    return Call<v1::KubeconfigReply>(*node_, &v1::NodeService::Stub::Kubeconfig,
                                     v1::KubeconfigRequest(), kShort);
  }
  absl::StatusOr<v1::ProbeReply> Probe(const v1::ProbeRequest& request) override {
    return Call<v1::ProbeReply>(*diagnose_, &v1::DiagnoseService::Stub::Probe, request,
                                absl::Minutes(1));
  }
  absl::Status Capture(const v1::CaptureRequest& request,
                       const std::function<bool(const v1::CaptureReply&)>& on_reply) override {
    if (absl::Status s = Allowed(); !s.ok()) return s;
    grpc::ClientContext context;
    // The node ends it before: by its duration, 10 minutes at most.
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Minutes(12)));
    return Drain<v1::CaptureReply>(context, diagnose_->Capture(&context, request), on_reply);
  }
  absl::StatusOr<v1::Resource> Get(const std::string& kind, const std::string& name) override {
    v1::GetRequest request;
    request.set_kind(kind);
    request.set_name(name);
    auto reply = Call<v1::GetReply>(*resources_, &v1::ResourceService::Stub::Get, request, kShort);
    if (!reply.ok()) return reply.status();
    return reply->resource();
  }
  absl::StatusOr<v1::ListReply> List(const std::string& kind) override {
    v1::ListRequest request;
    request.set_kind(kind);
    return Call<v1::ListReply>(*resources_, &v1::ResourceService::Stub::List, request, kShort);
  }

  absl::Status Apply(const v1::ApplyRequest& request, absl::Time deadline,
                     const std::function<bool(const v1::ApplyEvent&)>& on_event) override {
    if (absl::Status s = Allowed(); !s.ok()) return s;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    return Drain<v1::ApplyEvent>(context, node_->Apply(&context, request), on_event);
  }

  absl::Status Logs(const v1::LogsRequest& request,
                    const std::function<bool(const std::string&)>& on_data) override {
    if (absl::Status s = Allowed(); !s.ok()) return s;
    grpc::ClientContext context;
    // Following ends when the user ends it; a day is longer than the node keeps a stream.
    context.set_deadline(
        absl::ToChronoTime(absl::Now() + (request.follow() ? absl::Hours(24) : kPlanTimeout)));
    return Drain<v1::LogsReply>(context, node_->Logs(&context, request),
                                [&](const v1::LogsReply& reply) { return on_data(reply.data()); });
  }

  std::unique_ptr<NodeClient> Fresh(const std::string& endpoint) const override {
    Dial dial = dial_;
    if (!endpoint.empty()) dial.endpoint = endpoint;
    return std::make_unique<GrpcNodeClient>(std::move(dial));
  }

  std::string seen_fingerprint() const override {
    absl::MutexLock lock(&handshake_->mu);
    return handshake_->fingerprint;
  }

 private:
  absl::Status Allowed() const {
    if (!dial_.trust_any) return absl::OkStatus();
    return api::Coded(absl::StatusCode::kFailedPrecondition, "not-pinned",
                      "a node that is not pinned is sent nothing but Hello");
  }

  absl::Status Ended(const grpc::Status& status) const {
    if (status.ok()) return absl::OkStatus();
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      absl::MutexLock lock(&handshake_->mu);
      if (!handshake_->refusal.ok()) return handshake_->refusal;
    }
    return Translate(dial_, api::FromGrpc(status), absl::Now());
  }

  template <typename Reply, typename Stub, typename Method, typename Request>
  absl::StatusOr<Reply> Call(Stub& stub, Method method, const Request& request,
                             absl::Duration timeout) {
    if constexpr (!std::is_same_v<Request, v1::HelloRequest>) {
      if (absl::Status s = Allowed(); !s.ok()) return s;
    }
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    Reply reply;
    grpc::Status status = (stub.*method)(&context, request, &reply);
    if (!status.ok()) return Ended(status);
    return reply;
  }

  template <typename Event, typename Fn>
  absl::Status Drain(grpc::ClientContext& context,
                     std::unique_ptr<grpc::ClientReader<Event>> reader, const Fn& on_event) {
    Event event;
    bool stopped = false;
    while (!stopped && reader->Read(&event)) stopped = !on_event(event);
    if (stopped) context.TryCancel();
    grpc::Status status = reader->Finish();
    return stopped ? absl::OkStatus() : Ended(status);
  }

  const Dial dial_;
  const std::shared_ptr<Handshake> handshake_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::NodeService::Stub> node_;
  const std::unique_ptr<v1::ResourceService::Stub> resources_;
  const std::unique_ptr<v1::SchemaService::Stub> schemas_;
  const std::unique_ptr<v1::DiagnoseService::Stub> diagnose_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NodeClient>> Connect(const Dial& dial) {
  if (absl::Status s = api::ForceTls13(); !s.ok()) return s;
  // What gRPC has to say comes back as a status; its log lines would stand between ours.
  if (getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  if (!dial.trust_any && dial.fingerprint.empty() && dial.ca_pem.empty()) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "not-pinned",
                      "nothing says by what the node is known; nothing was sent",
                      "nodectl pin NAME --node HOST:PORT --fingerprint FINGERPRINT");
  }
  api::HoldGrpc();
  return std::make_unique<GrpcNodeClient>(dial);
}

}  // namespace basalt::client
