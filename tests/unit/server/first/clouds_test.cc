// Metadata services with the habits of the real ones, over HTTP on the loopback; and some that no
// cloud would have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/server/fetch/scripted_server.h"
#include "tests/unit/server/first/fake_cloud.h"

namespace basalt::first {
namespace {

using testing::Answer;
using testing::FirstWorld;
using testing::ScriptedServer;
using Connection = ScriptedServer::Connection;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

// Names of headers come in any case, and so does what is looked for here.
bool Mentions(const Connection& c, absl::string_view text) {
  return absl::StrContains(absl::AsciiStrToLower(c.request), absl::AsciiStrToLower(text));
}
bool Has(const Connection& c, absl::string_view header) {
  return Mentions(c, absl::StrCat("\r\n", header, "\r\n"));
}
bool Asks(const Connection& c, absl::string_view line) {
  return absl::StartsWith(c.request, absl::StrCat(line, " HTTP/1.1\r\n"));
}

class Clouds : public ::testing::Test {
 protected:
  // A node whose only source is this cloud; `script` answers, `json` is its user-data.
  void Ask(SourceKind kind,
           std::function<void(const Connection&, const std::string& json)> script) {
    server_ = std::make_unique<ScriptedServer>(
        [this, script = std::move(script)](const Connection& c) { script(c, json_); });
    w_ = std::make_unique<FirstWorld>(std::vector<Source>{{.kind = kind}}, server_->Url(""));
    json_ = w_->Json();
    w_->Start();
  }
  v1::Condition AfterSomeRounds() {
    w_->h.executor->Advance(absl::Minutes(1));
    return w_->Condition("FirstConfigRefused");
  }
  std::string json_;
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<FirstWorld> w_;
};

TEST_F(Clouds, AwsWantsATokenFirst) {
  Ask(SourceKind::kAws, [](const Connection& c, const std::string& json) {
    if (Asks(c, "PUT /latest/api/token")) {
      return c.Send(Has(c, "X-aws-ec2-metadata-token-ttl-seconds: 300")
                        ? Answer("200 OK", "AQAEAtoken==")
                        : Answer("400 Bad Request", ""));
    }
    if (!Has(c, "X-aws-ec2-metadata-token: AQAEAtoken==")) {
      return c.Send(Answer("401 Unauthorized", "<html>"));
    }
    c.Send(Asks(c, "GET /latest/user-data") ? Answer("200 OK", json) : Answer("404 Not Found", ""));
  });
  EXPECT_TRUE(w_->committed());
  EXPECT_EQ(w_->h.node->History({}).value().generations(0).delivered_by(),
            "found: user-data of AWS");
}

TEST_F(Clouds, AwsOfTheOldKindHasNoTokens) {
  Ask(SourceKind::kAws, [](const Connection& c, const std::string& json) {
    c.Send(Asks(c, "GET /latest/user-data") ? Answer("200 OK", json) : Answer("404 Not Found", ""));
  });
  EXPECT_TRUE(w_->committed());
}

TEST_F(Clouds, AwsWithoutUserDataIsNoFault) {
  Ask(SourceKind::kAws, [](const Connection& c, const std::string&) {
    c.Send(Asks(c, "PUT /latest/api/token") ? Answer("200 OK", "t") : Answer("404 Not Found", ""));
  });
  EXPECT_EQ(AfterSomeRounds().type(), "");
}

TEST_F(Clouds, GcpWantsItsHeaderAndNobodyBetween) {
  Ask(SourceKind::kGcp, [](const Connection& c, const std::string& json) {
    if (!Has(c, "Metadata-Flavor: Google") || Mentions(c, "x-forwarded-for")) {
      return c.Send(Answer("403 Forbidden", "Missing Metadata-Flavor"));
    }
    c.Send(Asks(c, "GET /computeMetadata/v1/instance/attributes/user-data")
               ? Answer("200 OK", json, "Metadata-Flavor: Google\r\n")
               : Answer("404 Not Found", ""));
  });
  EXPECT_TRUE(w_->committed());
}

TEST_F(Clouds, AzureGivesItInBase64) {
  Ask(SourceKind::kAzure, [](const Connection& c, const std::string& json) {
    if (!Has(c, "Metadata: true")) return c.Send(Answer("400 Bad Request", "{}"));
    c.Send(Asks(c, "GET /metadata/instance/compute/userData?api-version=2021-01-01&format=text")
               ? Answer("200 OK", absl::Base64Escape(json))
               : Answer("404 Not Found", "{}"));
  });
  EXPECT_TRUE(w_->committed());
}

TEST_F(Clouds, OpenStackHasTwoPlaces) {
  Ask(SourceKind::kOpenStack, [](const Connection& c, const std::string& json) {
    c.Send(Asks(c, "GET /latest/user-data") ? Answer("200 OK", json) : Answer("404 Not Found", ""));
  });
  EXPECT_TRUE(w_->committed());
  EXPECT_THAT(w_->asker.asked,
              ElementsAre(EndsWith("/openstack/latest/user_data"), EndsWith("/latest/user-data")));
}

TEST_F(Clouds, HetznerGivesItPlain) {
  Ask(SourceKind::kHetzner, [](const Connection& c, const std::string& json) {
    c.Send(Asks(c, "GET /hetzner/v1/userdata") ? Answer("200 OK", json)
                                               : Answer("404 Not Found", ""));
  });
  EXPECT_TRUE(w_->committed());
}

TEST_F(Clouds, ARefusalIsNamed) {
  Ask(SourceKind::kHetzner,
      [](const Connection& c, const std::string&) { c.Send(Answer("403 Forbidden", "no")); });
  EXPECT_EQ(w_->Condition("FirstConfigRefused").reason(), "metadata-refused");
}

TEST_F(Clouds, OneThatSendsElsewhereIsNotFollowed) {
  Ask(SourceKind::kHetzner, [](const Connection& c, const std::string& json) {
    c.Send(Asks(c, "GET /elsewhere") ? Answer("200 OK", json)
                                     : Answer("302 Found", json, "Location: /elsewhere\r\n"));
  });
  EXPECT_FALSE(w_->committed());
  EXPECT_EQ(AfterSomeRounds().reason(), "metadata-unreachable");
  for (const std::string& request : server_->requests()) {
    EXPECT_THAT(request, HasSubstr("/hetzner/v1/userdata"));
  }
}

TEST_F(Clouds, AWebPageIsSaidToBeOne) {
  Ask(SourceKind::kHetzner, [](const Connection& c, const std::string&) {
    c.Send(Answer("200 OK", "<html><body>Sign in to the hotel's network"));
  });
  EXPECT_EQ(w_->Condition("FirstConfigRefused").reason(), "not-a-signed-config");
  EXPECT_THAT(w_->Condition("FirstConfigRefused").message(), HasSubstr("a web page"));
}

TEST_F(Clouds, MoreThanADocumentCanHaveIsCutOff) {
  Ask(SourceKind::kHetzner, [](const Connection& c, const std::string&) {
    c.Send(Answer("200 OK", std::string(10 << 20, '{')));
  });
  EXPECT_FALSE(w_->committed());
  EXPECT_EQ(AfterSomeRounds().reason(), "metadata-unreachable");
}

TEST_F(Clouds, ATokenThatIsNoneIsNotSent) {
  Ask(SourceKind::kAws, [](const Connection& c, const std::string&) {
    c.Send(Answer("200 OK", "a b\r\nX-Injected: 1"));
  });
  EXPECT_THAT(w_->asker.asked, ElementsAre(EndsWith("/latest/api/token")));
}

TEST_F(Clouds, OneThatIsNotThereYetIsNoNewsAtFirst) {
  FirstWorld w({{.kind = SourceKind::kHetzner}}, "http://127.0.0.1:1");
  w.Start();
  EXPECT_EQ(w.Condition("FirstConfigRefused").type(), "");
  w.h.executor->Advance(absl::Minutes(1));
  EXPECT_EQ(w.Condition("FirstConfigRefused").reason(), "metadata-unreachable");
}

}  // namespace
}  // namespace basalt::first
