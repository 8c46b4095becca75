#include "server/rpc/endpoint.h"

#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <limits>
#include <utility>
#include <vector>

#include "api/coded_status.h"
#include "server/rpc/node_service.h"

namespace basalt::rpc {
namespace {

namespace tls = grpc::experimental;

// What gRPC may use for connections and messages of all callers together.
constexpr size_t kMemory = 32 << 20;
// The message itself may have 2 MiB; its frame and fields want a little more.
constexpr int kUnconfiguredMessage = (2 << 20) + (16 << 10);
constexpr int kMetadataBytes = 8 << 10;

int Millis(absl::Duration d) {
  int64_t ms = absl::ToInt64Milliseconds(d);
  return static_cast<int>(std::min<int64_t>(ms, std::numeric_limits<int>::max()));
}

std::shared_ptr<grpc::ServerCredentials> Credentials(const ServerOptions& options,
                                                     const Endpoint::Spec& spec) {
  std::vector<tls::IdentityKeyCertPair> pairs = {{options.key_pem, options.certificate_pem}};
  auto provider = spec.roots_pem.empty()
                      ? std::make_shared<tls::StaticDataCertificateProvider>(pairs)
                      : std::make_shared<tls::StaticDataCertificateProvider>(spec.roots_pem, pairs);
  tls::TlsServerCredentialsOptions settings(provider);
  settings.watch_identity_key_cert_pairs();
  if (spec.roots_pem.empty()) {
    settings.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  } else {
    // Optional in TLS: a caller without one gets as far as Hello and Return, a bad one nowhere.
    // (The variant that demands one would shut out Hello; the one that does not verify drops
    // callers without one.)
    settings.watch_root_certs();
    settings.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(settings);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Endpoint>> Endpoint::Start(const ServerOptions& options,
                                                          const Spec& spec, Gate& gate,
                                                          engine::NodeApi& api) {
  const Limits& limits = options.limits;
  std::unique_ptr<Endpoint> out(new Endpoint(spec));
  std::shared_ptr<grpc::ServerCredentials> credentials = Credentials(options, spec);
  if (credentials == nullptr) {
    return api::Coded(absl::StatusCode::kInternal, "tls-setup",
                      "gRPC does not take the node's certificate and key");
  }
  credentials->SetAuthMetadataProcessor(std::make_shared<Authorizer>(gate));

  grpc::ServerBuilder builder;
  grpc::ResourceQuota quota("basalt");
  quota.Resize(kMemory);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(spec.configured
                                       ? limits.message_bytes
                                       : std::min(limits.message_bytes, kUnconfiguredMessage));
  builder.SetMaxSendMessageSize(limits.message_bytes);
  // A compressed message may be a bomb; ours are small.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  auto set = [&](const char* name, int value) { builder.AddChannelArgument(name, value); };
  // From hand-off to the first HTTP/2 settings of the client; the accept loop has used the rest.
  set("grpc.server_handshake_timeout_ms", Millis(limits.handshake * 3 / 5));
  set(GRPC_ARG_MAX_CONCURRENT_STREAMS, spec.configured ? limits.streams : 1);
  set(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytes);
  set(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Millis(absl::Minutes(2)));
  set(GRPC_ARG_MAX_CONNECTION_AGE_MS, Millis(limits.max_connection_age));
  // A stream may go on past the age of its connection, as long as any call may last.
  set(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Millis(limits.default_deadline));
  set(GRPC_ARG_KEEPALIVE_TIME_MS, Millis(absl::Minutes(1)));
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Millis(absl::Seconds(20)));
  set(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, Millis(absl::Seconds(10)));
  // Without probing the windows stay as they are, and so does the memory of a connection.
  set(GRPC_ARG_HTTP2_BDP_PROBE, 0);

  out->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
  out->node_service_ = MakeNodeService(gate, api);
  out->resource_service_ = MakeResourceService(gate, api);
  out->schema_service_ = MakeSchemaService(gate, api);
  out->diagnose_service_ = MakeDiagnoseService(gate, options.diagnose);
  builder.RegisterService(out->node_service_.get());
  builder.RegisterService(out->resource_service_.get());
  builder.RegisterService(out->schema_service_.get());
  builder.RegisterService(out->diagnose_service_.get());
  out->server_ = builder.BuildAndStart();
  if (out->server_ == nullptr) {
    return api::Coded(absl::StatusCode::kInternal, "tls-setup", "gRPC does not start a server");
  }
  return out;
}

void Endpoint::Handle(int fd, int listener_fd) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.listener_fd = listener_fd;
  connection.fd = fd;
  acceptor_->HandleNewConnection(&connection);
}

void Endpoint::Shutdown(absl::Time deadline) { server_->Shutdown(absl::ToChronoTime(deadline)); }

}  // namespace basalt::rpc
