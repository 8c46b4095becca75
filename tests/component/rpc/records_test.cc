// S20: a record that a more powerful step obeys later (a staged document at the next boot, a
// pending one at its confirmation, a trust chain from then on, an order) is written only by those
// who may.
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "api/grpc_status.h"
#include "tests/component/rpc/rpc_fixture.h"

namespace basalt::rpc {
namespace {

class Records : public RpcFixture {
 protected:
  using Writer = std::function<void(v1::NodeService::Stub&)>;

  static Writer Apply(const std::string& mode, bool supersede = false) {
    return [=](v1::NodeService::Stub& node) {
      // How a document is applied stands in what is signed: the request has no word for it.
      v1::ApplyRequest request = SignedApply(absl::StrCat("metadata: {apply: {mode: ", mode, "}}"));
      request.set_supersede(supersede);
      grpc::ClientContext context;
      Deadline(context);
      auto stream = node.Apply(&context, request);
      v1::ApplyEvent event;
      while (stream->Read(&event)) {
      }
      stream->Finish();
    };
  }
  template <typename Request, typename Reply>
  static Writer Unary(grpc::Status (v1::NodeService::Stub::*method)(grpc::ClientContext*,
                                                                    const Request&, Reply*)) {
    return [=](v1::NodeService::Stub& node) {
      Reply reply;
      grpc::ClientContext context;
      Deadline(context);
      (node.*method)(&context, Request(), &reply);
    };
  }

  TestCert ca_ = MakeCa("owner");
};

struct Record {
  std::string what;
  std::string method;   // of the engine
  std::string writers;  // roles; by hand from the table of the design
  std::function<void(v1::NodeService::Stub&)> write;
};

TEST_F(Records, S20_EachRecordIsWrittenOnlyByTheRolesThatMay) {
  using Stub = v1::NodeService::Stub;
  const std::vector<Record> records = {
      {"staged document", "Apply", "deliver operator admin", Apply("staged")},
      {"pending try-config", "Apply", "deliver operator admin", Apply("try")},
      {"end of a pending document", "Apply", "operator admin", Apply("commit", true)},
      {"commit of a try-config", "Confirm", "operator admin", Unary(&Stub::Confirm)},
      {"cancel of a pending document", "Cancel", "operator admin", Unary(&Stub::Cancel)},
      {"trust chain", "ApplyTrust", "deliver operator admin", Unary(&Stub::ApplyTrust)},
      {"order", "ApplyAction", "deliver operator admin", Unary(&Stub::ApplyAction)},
      {"restart of a service", "RestartService", "operator admin", Unary(&Stub::RestartService)},
  };
  Start(Policy(ca_, {"admin", "auditor"}));
  int cells = 0;
  for (std::string role : {"anon", "none", "deliver", "reader", "auditor", "operator", "admin"}) {
    LeafOptions leaf;
    if (role != "none" && role != "anon") leaf.organizations = {"basalt:" + role};
    TestCert cert = MakeLeaf(ca_, leaf);
    auto node = Node(role == "anon" ? ClientOptions{} : ClientOptions{.cert = &cert});
    for (const Record& record : records) {
      const int before = api_.CallCount(record.method);
      record.write(*node);
      const bool may =
          absl::StrContains(absl::StrCat(" ", record.writers, " "), absl::StrCat(" ", role, " "));
      EXPECT_EQ(api_.CallCount(record.method) - before, may ? 1 : 0)
          << role << " writes: " << record.what;
      ++cells;
    }
  }
  RecordProperty("cells", cells);
}

// Whoever carries a document chooses nothing about it but to look first, to end what is pending (an
// operator) and how to find the answer again. A new field here has to be thought about.
TEST_F(Records, S20_ACarrierAddsNothingToWhatIsSigned) {
  const google::protobuf::Descriptor* request = v1::ApplyRequest::descriptor();
  std::vector<std::string> names;
  for (int i = 0; i < request->field_count(); ++i) names.push_back(request->field(i)->name());
  EXPECT_EQ(names,
            (std::vector<std::string>{"document", "dry_run", "supersede", "idempotency_key"}));
  EXPECT_EQ(v1::ApplyTrustRequest::descriptor()->field_count(), 1);
  EXPECT_EQ(v1::ApplyActionRequest::descriptor()->field_count(), 1);
}

// The engine rations by it.
TEST_F(Records, S17_TheEngineIsToldTheSourceOfACaller) {
  Start();
  ASSERT_TRUE(Hello(*Node()).ok());
  ASSERT_EQ(api_.calls().size(), 1u);
  EXPECT_EQ(api_.calls()[0].caller.source, "127.0.0.1");
}

}  // namespace
}  // namespace basalt::rpc
