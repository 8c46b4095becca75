// N10: any bytes as the request of any method, over TLS, by an admin, against a node in memory; and
// the texts that come from the other end of a connection. The first byte chooses.
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "api/access_table.h"
#include "api/coded_status.h"
#include "api/grpc_log.h"
#include "api/grpc_status.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/x509.h"
#include "server/rpc/address.h"
#include "server/rpc/client_hello.h"
#include "server/rpc/server.h"
#include "tests/support/node_api/fake_node_api.h"

namespace basalt::rpc {
namespace {

namespace tls = grpc::experimental;

sign::CertificateSpec Spec(const std::string& name) {
  sign::CertificateSpec spec;
  spec.common_name = name;
  spec.not_before = absl::Now() - absl::Hours(1);
  spec.not_after = absl::Now() + absl::Hours(240);
  return spec;
}

// One server and one connection for the whole run.
class Harness {
 public:
  Harness() {
    api::RouteGrpcLog();
    sign::PrivateKey server_key = sign::PrivateKey::GenerateEd25519();
    sign::PrivateKey ca_key = sign::PrivateKey::GenerateEd25519();
    sign::PrivateKey admin_key = sign::PrivateKey::GenerateEd25519();
    sign::CertificateSpec server = Spec("node");
    server.server_auth = true;
    sign::CertificateSpec ca = Spec("owner");
    ca.is_ca = true;
    sign::CertificateSpec admin = Spec("admin");
    admin.client_auth = true;
    admin.organizations = {"basalt:admin"};
    std::string ca_pem = sign::SelfSign(ca, ca_key).value();
    std::string admin_pem = sign::Issue(admin, admin_key.public_key(), ca_pem, ca_key).value();
    engine::ApiPolicy policy;
    policy.configured = true;
    v1::ClientCa* named = policy.api.add_client_cas();
    named->set_name("owner");
    named->set_certificate(ca_pem);
    named->add_roles("admin");
    server_ = StartServer({.listen = {"127.0.0.1:0"},
                           .certificate_pem = sign::SelfSign(server, server_key).value(),
                           .key_pem = server_key.Pem()},
                          policy, api_)
                  .value();
    std::vector<tls::IdentityKeyCertPair> pairs = {{admin_key.Pem(), admin_pem}};
    tls::TlsChannelCredentialsOptions settings;
    settings.set_certificate_provider(std::make_shared<tls::StaticDataCertificateProvider>(pairs));
    settings.watch_identity_key_cert_pairs();
    settings.set_verify_server_certs(false);
    settings.set_check_call_host(false);
    settings.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
    stub_ = std::make_unique<grpc::GenericStub>(
        grpc::CreateChannel(server_->endpoints()[0], tls::TlsCredentials(settings)));
    for (const auto& [path, method] : api::AccessTable::Get().methods()) paths_.push_back(path);
  }

  void Call(size_t method, absl::string_view request) {
    grpc::ClientContext context;
    // Enough for an answer; a log that is followed ends by it.
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(200)));
    grpc::CompletionQueue queue;
    auto await = [&] {
      void* tag;
      bool ok = false;
      queue.Next(&tag, &ok);
      return ok;
    };
    auto call = stub_->PrepareCall(&context, paths_[method % paths_.size()], &queue);
    call->StartCall(nullptr);
    grpc::Status status;
    if (await()) {
      grpc::Slice slice(request.data(), request.size());
      call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
      await();
      grpc::ByteBuffer reply;
      do {
        call->Read(&reply, nullptr);
      } while (await());
    }
    call->Finish(&status, nullptr);
    await();
    queue.Shutdown();
    while (await()) {
    }
    // A node that cannot be reached any more is a finding.
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) std::abort();
    api::Violations(api::FromGrpc(status));
  }

 private:
  testing::FakeNodeApi api_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::vector<std::string> paths_;
};

void Texts(absl::string_view text) {
  // The first bytes of a connection: what is whole was a good beginning all the time.
  if (ClassifyHello(text) == HelloState::kComplete) {
    for (size_t size = 0; size < text.size() && size < 16; ++size) {
      if (ClassifyHello(text.substr(0, size)) == HelloState::kNotTls) std::abort();
    }
  }
  NormalizePeer(text);
  if (auto address = ParseListenAddress(text); address.ok()) {
    SourceOf(*address);
    if (ParseListenAddress(address->ToString())->ToString() != address->ToString()) std::abort();
  }
  Network::Parse(text).status().IgnoreError();
  std::string all(text);
  absl::Status status = api::FromGrpc(grpc::Status(grpc::StatusCode::INTERNAL, all, all));
  api::Reason(status);
  api::Violations(status);
  api::Violations(api::FromGrpc(api::ToGrpc(status)));
}

}  // namespace
}  // namespace basalt::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const harness = new basalt::rpc::Harness();
  if (size == 0) return 0;
  absl::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 4 == 3) {
    basalt::rpc::Texts(rest);
  } else {
    harness->Call(data[0] / 4, rest);
  }
  return 0;
}
