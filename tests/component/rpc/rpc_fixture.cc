#include "tests/component/rpc/rpc_fixture.h"

#include <arpa/inet.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <poll.h>
#include <sys/socket.h>

#include <csignal>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/grpc_log.h"
#include "api/tls13.h"

namespace basalt::rpc {
namespace {

namespace tls = grpc::experimental;

sign::CertificateSpec SpecFrom(const LeafOptions& options) {
  sign::CertificateSpec spec;
  spec.common_name = options.common_name;
  spec.organizations = options.organizations;
  spec.dns_names = options.dns_names;
  spec.uris = options.uris;
  spec.is_ca = options.is_ca;
  spec.client_auth = options.client_auth;
  spec.server_auth = options.server_auth;
  spec.not_before = absl::Now() + options.valid_from;
  spec.not_after = absl::Now() + options.valid_for;
  return spec;
}

class ProcessSetup : public ::testing::Environment {
 public:
  void SetUp() override {
    // A peer that closed is an error of the write, not the end of the tests.
    std::signal(SIGPIPE, SIG_IGN);
    ASSERT_TRUE(api::ForceTls13().ok());
    api::RouteGrpcLog();
  }
};
[[maybe_unused]] auto* const process_setup = ::testing::AddGlobalTestEnvironment(new ProcessSetup);

}  // namespace

TestCert MakeCa(const std::string& name, const sign::PrivateKey* key) {
  TestCert out{.key = key != nullptr ? *key : sign::PrivateKey::GenerateEd25519()};
  LeafOptions options;
  options.common_name = name;
  options.is_ca = true;
  options.client_auth = false;
  absl::StatusOr<std::string> pem = sign::SelfSign(SpecFrom(options), out.key);
  EXPECT_TRUE(pem.ok()) << pem.status();
  out.pem = *pem;
  return out;
}

TestCert MakeLeaf(const TestCert& ca, const LeafOptions& options) {
  TestCert out{.key = sign::PrivateKey::GenerateEd25519()};
  absl::StatusOr<std::string> pem =
      sign::Issue(SpecFrom(options), out.key.public_key(), ca.pem, ca.key);
  EXPECT_TRUE(pem.ok()) << pem.status();
  out.pem = *pem;
  return out;
}

void RpcFixture::SetUp() {
  LeafOptions options;
  options.common_name = "node";
  options.client_auth = false;
  options.server_auth = true;
  absl::StatusOr<std::string> pem = sign::SelfSign(SpecFrom(options), server_key_);
  ASSERT_TRUE(pem.ok()) << pem.status();
  server_cert_ = *pem;
}

void RpcFixture::TearDown() {
  if (server_ != nullptr) server_->Shutdown(absl::Seconds(1));
}

void RpcFixture::Start(const engine::ApiPolicy& policy) {
  absl::StatusOr<std::unique_ptr<Server>> server = StartServer({.listen = listen_,
                                                                .certificate_pem = server_cert_,
                                                                .key_pem = server_key_.Pem(),
                                                                .limits = limits_},
                                                               policy, api_);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

engine::ApiPolicy RpcFixture::Policy(const TestCert& ca, const std::vector<std::string>& roles) {
  engine::ApiPolicy policy;
  policy.configured = true;
  policy.cluster = "home";
  v1::ClientCa* named = policy.api.add_client_cas();
  named->set_name("owner");
  named->set_certificate(ca.pem);
  for (const std::string& role : roles) named->add_roles(role);
  return policy;
}

int RpcFixture::port() const {
  std::string endpoint = server_->endpoints().at(0);
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(endpoint.substr(endpoint.rfind(':') + 1), &port)) << endpoint;
  return port;
}

std::shared_ptr<grpc::Channel> RpcFixture::Connect(const ClientOptions& options) {
  tls::TlsChannelCredentialsOptions settings;
  if (options.cert != nullptr) {
    std::vector<tls::IdentityKeyCertPair> pairs = {
        {options.cert->key.Pem(), absl::StrCat(options.cert->pem, options.extra_chain)}};
    settings.set_certificate_provider(std::make_shared<tls::StaticDataCertificateProvider>(pairs));
    settings.watch_identity_key_cert_pairs();
  }
  settings.set_verify_server_certs(false);
  settings.set_check_call_host(false);
  settings.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  arguments.SetMaxSendMessageSize(options.max_send_bytes);
  return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port()),
                                   tls::TlsCredentials(settings), arguments);
}

std::unique_ptr<v1::NodeService::Stub> RpcFixture::Node(const ClientOptions& options) {
  return v1::NodeService::NewStub(Connect(options));
}

void RpcFixture::Deadline(grpc::ClientContext& context, absl::Duration limit) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + limit));
}

grpc::Status RpcFixture::Hello(v1::NodeService::Stub& stub, v1::HelloReply* reply) {
  v1::HelloReply ignored;
  grpc::ClientContext context;
  Deadline(context);
  return stub.Hello(&context, v1::HelloRequest(), reply == nullptr ? &ignored : reply);
}

host::UniqueFd RpcFixture::Dial(const std::string& from) {
  host::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in local{};
  local.sin_family = AF_INET;
  if (!from.empty()) {
    inet_pton(AF_INET, from.c_str(), &local.sin_addr);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&local), sizeof(local)), 0);
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port()));
  inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  return fd;
}

bool RpcFixture::AwaitClosed(int fd, absl::Duration limit) {
  absl::Time end = absl::Now() + limit;
  while (true) {
    absl::Duration left = end - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    pollfd item{.fd = fd, .events = POLLIN};
    if (poll(&item, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) <= 0) continue;
    char buffer[4096];
    ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
    if (n <= 0) return true;
  }
}

v1::ApplyRequest RpcFixture::SignedApply(const std::string& payload) {
  v1::ApplyRequest request;
  request.mutable_document()->set_type(v1::DOCUMENT_TYPE_MACHINE_CONFIG);
  request.mutable_document()->set_payload(payload);
  request.mutable_document()->add_signatures()->set_signature(std::string(64, 's'));
  return request;
}

}  // namespace basalt::rpc
