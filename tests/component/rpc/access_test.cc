// Who may call what: every method by every role, and every certificate that is not quite right.
#include <grpcpp/generic/generic_stub.h>

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/access_table.h"
#include "api/coded_status.h"
#include "api/grpc_status.h"
#include "tests/component/rpc/rpc_fixture.h"

namespace basalt::rpc {
namespace {

class Access : public RpcFixture {
 protected:
  // Calls `path` with an empty request; the status as the client sees it.
  static grpc::Status CallEmpty(const std::shared_ptr<grpc::Channel>& channel,
                                const std::string& path) {
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    Deadline(context);
    grpc::CompletionQueue queue;
    grpc::ByteBuffer request;
    auto call = stub.PrepareUnaryCall(&context, path, request, &queue);
    call->StartCall();
    grpc::ByteBuffer reply;
    grpc::Status status;
    call->Finish(&reply, &status, nullptr);
    void* tag;
    bool ok;
    queue.Next(&tag, &ok);
    queue.Shutdown();
    while (queue.Next(&tag, &ok)) {
    }
    return status;
  }
  static bool Denied(const grpc::Status& status) {
    return absl::StartsWith(status.error_message(), "[needs-role]") ||
           absl::StartsWith(status.error_message(), "[certificate-needed]") ||
           absl::StartsWith(status.error_message(), "[certificate-refused]") ||
           absl::StartsWith(status.error_message(), "[unknown-method]");
  }
  grpc::Status History(const ClientOptions& options) {
    v1::HistoryReply reply;
    grpc::ClientContext context;
    Deadline(context);
    return Node(options)->History(&context, v1::HistoryRequest(), &reply);
  }

  TestCert ca_ = MakeCa("owner");
};

// Written down by hand from the roles table of the design, not from the options.
const std::map<std::string, std::string>& ExpectedAccess() {
  static const auto* table = new std::map<std::string, std::string>{
      {"NodeService/Hello", "anon none deliver reader auditor operator admin"},
      {"NodeService/Return", "anon none deliver reader auditor operator admin"},
      {"NodeService/Plan", "deliver reader auditor operator admin"},
      {"NodeService/Apply", "deliver operator admin"},
      {"NodeService/ApplyTrust", "deliver operator admin"},
      {"NodeService/ApplyAction", "deliver operator admin"},
      {"NodeService/Confirm", "operator admin"},
      {"NodeService/Cancel", "operator admin"},
      {"NodeService/RestartService", "operator admin"},
      {"NodeService/History", "reader auditor operator admin"},
      {"NodeService/GetConfig", "reader auditor operator admin"},
      {"NodeService/Logs", "reader auditor operator admin"},
      {"NodeService/Kubeconfig", "admin"},
      {"ResourceService/Get", "reader auditor operator admin"},
      {"ResourceService/List", "reader auditor operator admin"},
      {"SchemaService/GetSchema", "deliver reader auditor operator admin"},
      {"DiagnoseService/Probe", "operator admin"},
      {"DiagnoseService/Capture", "operator admin"},
      {"NodeService/Nothing", ""},
  };
  return *table;
}

TEST_F(Access, S15_EveryMethodByEveryRole) {
  Start(Policy(ca_, {"admin", "auditor"}));
  EXPECT_EQ(api::AccessTable::Get().methods().size() + 1, ExpectedAccess().size());
  int cells = 0;
  for (std::string role : {"anon", "none", "deliver", "reader", "auditor", "operator", "admin"}) {
    LeafOptions leaf;
    if (role != "none" && role != "anon") leaf.organizations = {"basalt:" + role};
    TestCert cert = MakeLeaf(ca_, leaf);
    auto channel = Connect(role == "anon" ? ClientOptions{} : ClientOptions{.cert = &cert});
    for (const auto& [method, roles] : ExpectedAccess()) {
      grpc::Status status = CallEmpty(channel, "/basalt.v1." + method);
      bool may = absl::StrContains(absl::StrCat(" ", roles, " "), absl::StrCat(" ", role, " "));
      EXPECT_EQ(Denied(status), !may) << role << " " << method << ": " << status.error_message();
      EXPECT_NE(status.error_code(), grpc::StatusCode::UNAVAILABLE) << role << " " << method;
      ++cells;
    }
  }
  RecordProperty("cells", cells);
}

TEST_F(Access, AStrangerMayDeliverBeforeTheFirstConfigAndReadNothing) {
  Start();
  auto channel = Connect();
  for (std::string method : {"Hello", "Plan", "Apply", "ApplyTrust", "Return"}) {
    EXPECT_FALSE(Denied(CallEmpty(channel, "/basalt.v1.NodeService/" + method))) << method;
  }
  for (std::string method : {"ApplyAction", "History", "GetConfig", "Logs", "Kubeconfig"}) {
    EXPECT_TRUE(Denied(CallEmpty(channel, "/basalt.v1.NodeService/" + method))) << method;
  }
}

TEST_F(Access, AnonymousDeliveryOpensDeliveryAndNothingElse) {
  engine::ApiPolicy policy = Policy(ca_);
  policy.api.set_anonymous_delivery(true);
  Start(policy);
  auto channel = Connect();
  for (std::string method : {"Hello", "Plan", "Apply", "ApplyTrust", "ApplyAction", "Return"}) {
    EXPECT_FALSE(Denied(CallEmpty(channel, "/basalt.v1.NodeService/" + method))) << method;
  }
  for (std::string method : {"Confirm", "Cancel", "History", "Logs", "Kubeconfig"}) {
    EXPECT_TRUE(Denied(CallEmpty(channel, "/basalt.v1.NodeService/" + method))) << method;
  }
}

TEST_F(Access, PlanningAnUnsignedSourceNeedsReader) {
  Start(Policy(ca_));
  TestCert deliver = MakeLeaf(ca_, {.organizations = {"basalt:deliver"}});
  TestCert reader = MakeLeaf(ca_, {.organizations = {"basalt:reader"}});
  auto plan = [&](const TestCert& cert) {
    v1::PlanRequest request;
    request.set_unsigned_yaml("a: 1");
    v1::PlanReply reply;
    grpc::ClientContext context;
    Deadline(context);
    return Node({.cert = &cert})->Plan(&context, request, &reply).error_code();
  };
  EXPECT_EQ(plan(deliver), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(plan(reader), grpc::StatusCode::OK);
}

TEST_F(Access, AnAuthorityGivesNoMoreThanItsList) {
  Start(Policy(ca_, {"reader"}));
  TestCert admin = MakeLeaf(ca_, {.organizations = {"basalt:admin"}});
  auto channel = Connect({.cert = &admin});
  EXPECT_FALSE(Denied(CallEmpty(channel, "/basalt.v1.NodeService/History")));
  EXPECT_TRUE(Denied(CallEmpty(channel, "/basalt.v1.NodeService/Kubeconfig")));
  EXPECT_TRUE(Denied(CallEmpty(channel, "/basalt.v1.NodeService/Apply")));
}

TEST_F(Access, S12_CertificatesOfOthersAndForOtherUsesAreRefused) {
  Start(Policy(ca_));
  TestCert sibling = MakeCa("owner");  // the same name, another key
  TestCert foreign = MakeLeaf(sibling, {.organizations = {"basalt:admin"}});
  EXPECT_FALSE(History({.cert = &foreign}).ok());
  TestCert server =
      MakeLeaf(ca_, {.organizations = {"basalt:admin"}, .client_auth = false, .server_auth = true});
  EXPECT_FALSE(History({.cert = &server}).ok());
  TestCert authority =
      MakeLeaf(ca_, {.organizations = {"basalt:admin"}, .is_ca = true, .client_auth = false});
  EXPECT_FALSE(History({.cert = &authority}).ok());
  TestCert below = MakeLeaf(authority, {.organizations = {"basalt:admin"}});
  EXPECT_FALSE(History({.cert = &below, .extra_chain = authority.pem}).ok());
  EXPECT_FALSE(History({.cert = &ca_}).ok());
  EXPECT_EQ(api_.CallCount("History"), 0);
  TestCert good = MakeLeaf(ca_, {.organizations = {"basalt:admin"}});
  EXPECT_TRUE(History({.cert = &good}).ok());
}

TEST_F(Access, S16_ExpiredNotYetValidAndDeniedCertificatesAreRefused) {
  TestCert denied = MakeLeaf(ca_, {.organizations = {"basalt:admin"}});
  engine::ApiPolicy policy = Policy(ca_);
  policy.api.add_denied_fingerprints(sign::ReadCertificate(denied.pem)->fingerprint.Hex());
  Start(policy);
  TestCert expired = MakeLeaf(ca_, {.organizations = {"basalt:admin"},
                                    .valid_from = -absl::Hours(2),
                                    .valid_for = -absl::Hours(1)});
  EXPECT_FALSE(History({.cert = &expired}).ok());
  TestCert early = MakeLeaf(ca_, {.organizations = {"basalt:admin"},
                                  .valid_from = absl::Hours(1),
                                  .valid_for = absl::Hours(2)});
  EXPECT_FALSE(History({.cert = &early}).ok());
  absl::Status status = api::FromGrpc(History({.cert = &denied}));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(api::Reason(status), "certificate-refused");
  EXPECT_EQ(api_.CallCount("History"), 0);
}

TEST_F(Access, S16_ADeniedCertificateIsDeniedWithItsSignatureTurnedRound) {
  absl::StatusOr<sign::PrivateKey> p256 = sign::PrivateKey::FromPem(
      "-----BEGIN EC PRIVATE KEY-----\n"
      "MHcCAQEEIDrxE/qlDiAnzBafdKJq04Y35Gj8YJ/vCd2yWOeQ33sZoAoGCCqGSM49\n"
      "AwEHoUQDQgAEiIEEgJx/Yylb3SqHSwTs8MkNVEQcQFt9VoliJdCWscw39Q5pW0RS\n"
      "Cxk862FvGBrtT9kgXgXU+DzWvgYfWzcPIQ==\n"
      "-----END EC PRIVATE KEY-----\n");
  ASSERT_TRUE(p256.ok()) << p256.status();
  TestCert ca = MakeCa("owner", &*p256);
  TestCert denied = MakeLeaf(ca, {.organizations = {"basalt:admin"}});
  TestCert twin{denied.key, sign::TwinOf(denied.pem, ca.pem).value()};
  engine::ApiPolicy policy = Policy(ca);
  Start(policy);
  EXPECT_TRUE(History({.cert = &denied}).ok());
  EXPECT_TRUE(History({.cert = &twin}).ok());
  policy.api.add_denied_fingerprints(sign::ReadCertificate(denied.pem)->fingerprint.Hex());
  ASSERT_TRUE(server_->SetPolicy(policy).ok());
  for (const TestCert* cert : {&denied, &twin}) {
    EXPECT_EQ(api::Reason(api::FromGrpc(History({.cert = cert}))), "certificate-refused");
  }
  EXPECT_EQ(api_.CallCount("History"), 2);
}

TEST_F(Access, S18_AStrangerGetsOneAnswerForEverySignatureFault) {
  Start();
  auto node = Node();
  std::string first;
  for (std::string reason : {"bad-signature", "unknown-key", "no-signatures", "too-few-signers",
                             "revoked-key", "unknown-scheme", "duplicate-signer", "wrong-type",
                             "bad-proof", "unsupported-proof", "foreign-chain"}) {
    absl::Status fault =
        api::Coded(absl::StatusCode::kInvalidArgument, reason, "about " + reason, "hint " + reason);
    std::vector<absl::Status> answers;
    {
      api_.FailNext("Apply", fault);
      grpc::ClientContext context;
      Deadline(context);
      auto stream = node->Apply(&context, SignedApply("a: 1"));
      v1::ApplyEvent event;
      EXPECT_FALSE(stream->Read(&event));
      answers.push_back(api::FromGrpc(stream->Finish()));
    }
    {
      api_.FailNext("Plan", fault);
      v1::PlanRequest request;
      *request.mutable_signed_() = SignedApply("a: 1").document();
      v1::PlanReply reply;
      grpc::ClientContext context;
      Deadline(context);
      answers.push_back(api::FromGrpc(node->Plan(&context, request, &reply)));
    }
    {
      api_.FailNext("ApplyTrust", fault);
      v1::ApplyTrustReply reply;
      grpc::ClientContext context;
      Deadline(context);
      answers.push_back(api::FromGrpc(node->ApplyTrust(&context, v1::ApplyTrustRequest(), &reply)));
    }
    for (const absl::Status& answer : answers) {
      std::string text =
          absl::StrCat(answer.ToString(), "|", api::Reason(answer), "|", api::Hint(answer));
      EXPECT_EQ(api::Reason(answer), "signature-refused");
      if (first.empty()) first = text;
      EXPECT_EQ(text, first) << reason;
    }
  }
}

TEST_F(Access, AKnownCallerLearnsTheSignatureFault) {
  Start(Policy(ca_));
  TestCert deliver = MakeLeaf(ca_, {.organizations = {"basalt:deliver"}});
  api_.FailNext("Apply", api::Coded(absl::StatusCode::kPermissionDenied, "revoked-key", "m"));
  grpc::ClientContext context;
  Deadline(context);
  auto stream = Node({.cert = &deliver})->Apply(&context, SignedApply("a: 1"));
  v1::ApplyEvent event;
  EXPECT_FALSE(stream->Read(&event));
  EXPECT_EQ(api::Reason(api::FromGrpc(stream->Finish())), "revoked-key");
}

TEST_F(Access, S19_OnlyTheLeafsOrganizationsGiveRoles) {
  Start(Policy(ca_));
  const std::vector<LeafOptions> powerless = {
      {.organizations = {}},
      {.organizations = {"basalt:root"}},
      {.organizations = {"basalt:ADMIN"}},
      {.organizations = {"basalt: admin"}},
      {.organizations = {"admin"}},
      {.organizations = {"basalt:other:admin"}},
      {.organizations = {"basalt:home:admin:x"}},
      {.organizations = {"basalt:"}},
      {.organizations = {"xbasalt:admin"}},
      {.organizations = {"basalt:admin,O=basalt:admin"}},
      {.common_name = "basalt:admin"},
      {.common_name = "O=basalt:admin"},
      {.dns_names = {"admin"}, .uris = {"basalt://home/admin"}},
  };
  for (size_t i = 0; i < powerless.size(); ++i) {
    TestCert cert = MakeLeaf(ca_, powerless[i]);
    const absl::Status status = api::FromGrpc(History({.cert = &cert}));
    EXPECT_EQ(api::Reason(status), "needs-role") << i << ": " << status;
  }
  TestCert twice = MakeLeaf(ca_, {.organizations = {"basalt:reader", "basalt:reader"}});
  EXPECT_TRUE(History({.cert = &twice}).ok());
  TestCert here = MakeLeaf(ca_, {.organizations = {"basalt:other:admin", "basalt:home:reader"}});
  EXPECT_TRUE(History({.cert = &here}).ok());
  EXPECT_TRUE(Denied(CallEmpty(Connect({.cert = &here}), "/basalt.v1.NodeService/Kubeconfig")));
}

TEST_F(Access, S19_MetadataOfTheClientGivesNothing) {
  Start(Policy(ca_));
  TestCert none = MakeLeaf(ca_, {});
  for (const ClientOptions& options : {ClientOptions{}, ClientOptions{.cert = &none}}) {
    auto node = Node(options);
    grpc::ClientContext context;
    Deadline(context);
    for (const char* key : {"role", "roles", "x-role", "x-forwarded-for", "x-forwarded-client-cert",
                            "x509_subject", "x509_pem_cert", "authorization", "os-admin"}) {
      context.AddMetadata(key, "O=basalt:admin");
    }
    v1::HistoryReply reply;
    EXPECT_FALSE(node->History(&context, v1::HistoryRequest(), &reply).ok());
  }
  EXPECT_EQ(api_.CallCount("History"), 0);
}

}  // namespace
}  // namespace basalt::rpc
