// Changing the policy of a running server: no gap, and nobody stays who may not.
#include <grpcpp/generic/generic_stub.h>

#include <thread>

#include "api/coded_status.h"
#include "api/grpc_status.h"
#include "tests/component/rpc/rpc_fixture.h"

namespace basalt::rpc {
namespace {

class PolicyChange : public RpcFixture {
 protected:
  // An apply of `cert` that waits for the node, with its first event read.
  struct Waiting {
    std::unique_ptr<v1::NodeService::Stub> node;
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::ApplyEvent>> stream;
  };
  std::unique_ptr<Waiting> OpenApply(const ClientOptions& options) {
    api_.Hold("Apply");
    auto out = std::make_unique<Waiting>();
    out->node = Node(options);
    Deadline(out->context, absl::Seconds(60));
    out->stream = out->node->Apply(&out->context, SignedApply("a: 1"));
    v1::ApplyEvent event;
    EXPECT_TRUE(out->stream->Read(&event));
    return out;
  }

  TestCert ca_ = MakeCa("owner");
  TestCert admin_ = MakeLeaf(ca_, {.organizations = {"basalt:admin"}});
};

TEST_F(PolicyChange, NoConnectionIsLostWhileServersAreSwapped) {
  Start();
  std::vector<engine::ApiPolicy> policies = {Policy(ca_), {}, Policy(ca_, {"reader"})};
  int failures = 0;
  std::string message;
  std::atomic<int> done{0};
  std::thread client([&] {
    while (done.load() == 0) {
      grpc::Status status = Hello(*Node());
      if (!status.ok()) {
        ++failures;
        message = status.error_message();
      }
    }
  });
  for (int i = 0; i < 9; ++i) {
    EXPECT_TRUE(server_->SetPolicy(policies[i % 3]).ok());
    uint64_t accepted = server_->stats().accepted;
    EXPECT_TRUE(server_->AwaitStats([&](const ServerStats& s) { return s.accepted > accepted + 1; },
                                    absl::Seconds(20)));
  }
  done = 1;
  client.join();
  EXPECT_EQ(failures, 0) << message;
}

TEST_F(PolicyChange, TheApplyThatChangesThePolicyKeepsItsStream) {
  Start();
  auto apply = OpenApply({});
  ASSERT_TRUE(server_->SetPolicy(Policy(ca_)).ok());
  v1::HelloReply hello;
  ASSERT_TRUE(Hello(*Node({.cert = &admin_}), &hello).ok());
  EXPECT_TRUE(hello.client_certificate_wanted());
  api_.Release("Apply");
  v1::ApplyEvent event;
  bool final = false;
  while (apply->stream->Read(&event)) final = event.final();
  EXPECT_TRUE(final);
  EXPECT_TRUE(apply->stream->Finish().ok());
}

TEST_F(PolicyChange, S16_AStreamOfADeniedCertificateIsCut) {
  Start(Policy(ca_));
  auto apply = OpenApply({.cert = &admin_});
  engine::ApiPolicy policy = Policy(ca_);
  policy.api.add_denied_fingerprints(sign::ReadCertificate(admin_.pem)->fingerprint.Hex());
  absl::Time begin = absl::Now();
  ASSERT_TRUE(server_->SetPolicy(policy).ok());
  v1::ApplyEvent event;
  EXPECT_FALSE(apply->stream->Read(&event));
  EXPECT_FALSE(apply->stream->Finish().ok());
  EXPECT_LT(absl::Now() - begin, absl::Seconds(2));
  EXPECT_EQ(server_->stats().cut, 1u);
}

// A call whose headers have been let in and whose message is kept back.
struct HeldBack {
  explicit HeldBack(const std::shared_ptr<grpc::Channel>& channel, const std::string& path)
      : stub(channel) {
    RpcDeadline(context);
    call = stub.PrepareCall(&context, path, &queue);
    call->StartCall(this);
    Await();
  }
  void Await() {
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
  }
  static void RpcDeadline(grpc::ClientContext& context) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  }
  grpc::Status Send(const google::protobuf::Message& message) {
    grpc::Slice slice(message.SerializeAsString());
    call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), this);
    Await();
    grpc::Status status;
    call->Finish(&status, this);
    Await();
    return status;
  }
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  grpc::GenericStub stub;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call;
};

TEST_F(PolicyChange, S16_AMessageKeptBackIsJudgedByThePolicyOfTheDayItComes) {
  Start(Policy(ca_));
  auto channel = Connect({.cert = &admin_});
  HeldBack kubeconfig(channel, "/basalt.v1.NodeService/Kubeconfig");
  // The same connection: once this is answered, the headers before it have been let in.
  auto stub = v1::NodeService::NewStub(channel);
  ASSERT_TRUE(Hello(*stub).ok());
  ASSERT_TRUE(server_->SetPolicy(Policy(ca_, {"reader"})).ok());
  grpc::Status status = kubeconfig.Send(v1::KubeconfigRequest());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(api::Reason(api::FromGrpc(status)), "needs-role");
  EXPECT_EQ(server_->stats().cut, 0u);
}

TEST_F(PolicyChange, S16_AStreamOfARemovedAuthorityIsCut) {
  Start(Policy(ca_));
  auto apply = OpenApply({.cert = &admin_});
  TestCert other = MakeCa("other");
  absl::Time begin = absl::Now();
  ASSERT_TRUE(server_->SetPolicy(Policy(other)).ok());
  v1::ApplyEvent event;
  EXPECT_FALSE(apply->stream->Read(&event));
  EXPECT_FALSE(apply->stream->Finish().ok());
  EXPECT_LT(absl::Now() - begin, absl::Seconds(2));
}

TEST_F(PolicyChange, S16_AStreamEndsWhenItsCertificateExpires) {
  TestCert brief =
      MakeLeaf(ca_, {.organizations = {"basalt:admin"}, .valid_for = absl::Seconds(3)});
  Start(Policy(ca_));
  auto apply = OpenApply({.cert = &brief});
  v1::ApplyEvent event;
  EXPECT_FALSE(apply->stream->Read(&event));
  EXPECT_FALSE(apply->stream->Finish().ok());
  EXPECT_LT(absl::Now(), sign::ReadCertificate(brief.pem)->not_after + absl::Seconds(3));
}

TEST_F(PolicyChange, AnOldConnectionIsJudgedByTheNewPolicy) {
  Start();
  auto node = Node();
  ASSERT_TRUE(Hello(*node).ok());
  ASSERT_TRUE(server_->SetPolicy(Policy(ca_)).ok());
  v1::PlanRequest request;
  *request.mutable_signed_() = SignedApply("a: 1").document();
  v1::PlanReply reply;
  grpc::ClientContext context;
  Deadline(context);
  EXPECT_EQ(node->Plan(&context, request, &reply).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(api_.CallCount("Plan"), 0);
}

TEST_F(PolicyChange, ABadPolicyChangesNothing) {
  Start(Policy(ca_));
  std::vector<std::string> before = server_->endpoints();
  engine::ApiPolicy unreachable = Policy(ca_);
  unreachable.api.add_listen("127.0.0.1:0");
  unreachable.api.add_listen("203.0.113.1:6050");
  EXPECT_EQ(api::Reason(server_->SetPolicy(unreachable)), "listen-failed");
  engine::ApiPolicy garbage = Policy(ca_);
  garbage.api.mutable_client_cas(0)->set_certificate("nonsense");
  EXPECT_EQ(api::Reason(server_->SetPolicy(garbage)), "bad-client-ca");
  engine::ApiPolicy network = Policy(ca_);
  network.api.add_allowed_networks("10.0.0.0/99");
  EXPECT_EQ(api::Reason(server_->SetPolicy(network)), "bad-network");
  EXPECT_EQ(server_->endpoints(), before);
  EXPECT_TRUE(Hello(*Node({.cert = &admin_})).ok());
}

TEST_F(PolicyChange, NewAddressesServeAndOldOnesClose) {
  Start();
  engine::ApiPolicy policy;
  policy.api.add_listen("127.0.0.2:0");
  int old_port = port();
  ASSERT_TRUE(server_->SetPolicy(policy).ok());
  ASSERT_EQ(server_->endpoints().size(), 1u);
  EXPECT_EQ(server_->endpoints()[0].rfind("127.0.0.2:", 0), 0u);
  // A wider address on the same port, opened beside the narrow one.
  engine::ApiPolicy wide;
  wide.api.add_listen("0.0.0.0:" + std::to_string(port()));
  int kept = port();
  ASSERT_TRUE(server_->SetPolicy(wide).ok());
  EXPECT_EQ(port(), kept);
  EXPECT_TRUE(Hello(*Node()).ok());
  EXPECT_NE(old_port, kept);
}

TEST_F(PolicyChange, AnotherServersAddressIsNotTaken) {
  Start();
  absl::StatusOr<std::unique_ptr<Server>> second = StartServer({.listen = {server_->endpoints()[0]},
                                                                .certificate_pem = server_cert_,
                                                                .key_pem = server_key_.Pem()},
                                                               {}, api_);
  EXPECT_EQ(api::Reason(second.status()), "listen-failed");
}

TEST_F(PolicyChange, NetworksThatAreNotAllowedAreCutAndRefused) {
  Start();
  host::UniqueFd inside = Dial("127.0.0.1");
  host::UniqueFd outside = Dial("127.0.0.77");
  ASSERT_TRUE(
      server_->AwaitStats([](const ServerStats& s) { return s.open == 2; }, absl::Seconds(10)));
  engine::ApiPolicy policy;
  policy.api.add_allowed_networks("127.0.0.0/26");
  ASSERT_TRUE(server_->SetPolicy(policy).ok());
  EXPECT_TRUE(AwaitClosed(outside.get(), absl::Seconds(10)));
  EXPECT_TRUE(
      server_->AwaitStats([](const ServerStats& s) { return s.open == 1; }, absl::Seconds(10)));
  host::UniqueFd again = Dial("127.0.0.77");
  EXPECT_TRUE(AwaitClosed(again.get(), absl::Seconds(10)));
  EXPECT_TRUE(Hello(*Node()).ok());
}

}  // namespace
}  // namespace basalt::rpc
