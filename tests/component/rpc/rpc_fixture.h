// A real API server on 127.0.0.1:0 over a FakeNodeApi, certificates made on the spot, real gRPC
// clients and raw sockets.
#pragma once

#include <grpcpp/channel.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "basalt/v1/node_service.grpc.pb.h"
#include "basalt/v1/resource_service.grpc.pb.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/x509.h"
#include "server/host/fd.h"
#include "server/rpc/server.h"
#include "tests/support/node_api/fake_node_api.h"

namespace basalt::rpc {

struct TestCert {
  sign::PrivateKey key;
  std::string pem;
};

struct LeafOptions {
  std::vector<std::string> organizations;
  std::string common_name = "alice";
  std::vector<std::string> dns_names = {};
  std::vector<std::string> uris = {};
  bool is_ca = false;
  bool client_auth = true;
  bool server_auth = false;
  absl::Duration valid_from = -absl::Minutes(5);
  absl::Duration valid_for = absl::Hours(1);
};

TestCert MakeCa(const std::string& name, const sign::PrivateKey* key = nullptr);
TestCert MakeLeaf(const TestCert& ca, const LeafOptions& options);

// Everything a test says of the client side of a channel.
struct ClientOptions {
  const TestCert* cert = nullptr;
  std::string extra_chain;  // PEM sent after the leaf
  std::string from;         // local address, for tests of sources
  int max_send_bytes = -1;
};

class RpcFixture : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Starts (or restarts) the server; `limits` first.
  void Start(const engine::ApiPolicy& policy = {});
  // A policy whose one authority is `ca` and may give `roles`.
  engine::ApiPolicy Policy(const TestCert& ca, const std::vector<std::string>& roles = {"admin"});

  std::shared_ptr<grpc::Channel> Connect(const ClientOptions& options = {});
  std::unique_ptr<v1::NodeService::Stub> Node(const ClientOptions& options = {});
  // OK or the error of a Hello with a deadline.
  static grpc::Status Hello(v1::NodeService::Stub& stub, v1::HelloReply* reply = nullptr);
  static void Deadline(grpc::ClientContext& context, absl::Duration limit = absl::Seconds(20));

  int port() const;
  // A plain TCP connection; `from` binds the local address.
  host::UniqueFd Dial(const std::string& from = "");
  // Blocks until the peer closes (true) or `limit` passes (false). What it sends is dropped.
  static bool AwaitClosed(int fd, absl::Duration limit);
  static v1::ApplyRequest SignedApply(const std::string& payload);

  Limits limits_;
  std::vector<std::string> listen_ = {"127.0.0.1:0"};
  testing::FakeNodeApi api_;
  sign::PrivateKey server_key_ = sign::PrivateKey::GenerateEd25519();
  std::string server_cert_;
  std::unique_ptr<Server> server_;
};

}  // namespace basalt::rpc
