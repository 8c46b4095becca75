#include "machineconfig/merge/set_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/coded_status.h"
#include "basalt/v1/machine_config.pb.h"
#include "google/protobuf/util/message_differencer.h"

namespace basalt::merge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SetPath, SetsScalarsListsMapsAndSecrets) {
  v1::MachineConfig config;
  for (const char* assignment :
       {"k3s.cluster.init=true", "k3s.role=agent", "metadata.generation=7", "k3s.token=abc",
        "k3s.tlsSans=[a, b]", "metadata.labels={site: lab}", "metadata.labels[a.b/c]=d",
        "metadata.labels.e=f", "k3s.config[disable]=[traefik]", "k3s.health.readyz=5s",
        "k3s.env[HTTPS_PROXY].value=\"http://p:3128\"", "metadata.reason = a b"}) {
    ASSERT_TRUE(SetPath(assignment, config).ok()) << assignment << SetPath(assignment, config);
  }
  EXPECT_TRUE(config.k3s().cluster().init());
  EXPECT_EQ(config.k3s().role(), v1::K3S_ROLE_AGENT);
  EXPECT_EQ(config.metadata().generation(), 7);
  EXPECT_EQ(config.k3s().token().plain(), "abc");
  EXPECT_THAT(config.k3s().tls_sans(), ElementsAre("a", "b"));
  EXPECT_EQ(config.metadata().labels_size(), 3);
  EXPECT_EQ(config.metadata().labels().at("a.b/c"), "d");
  EXPECT_EQ(config.metadata().labels().at("e"), "f");
  EXPECT_THAT(config.k3s().config().at("disable").list().values(), ElementsAre("traefik"));
  EXPECT_EQ(config.k3s().env(0).name(), "HTTPS_PROXY");
  EXPECT_EQ(config.k3s().env(0).value(), "http://p:3128");
  EXPECT_EQ(config.metadata().reason(), "a b");
}

TEST(SetPath, ReplacesWhatWasThere) {
  v1::MachineConfig config;
  ASSERT_TRUE(SetPath("k3s.tlsSans=[a, b]", config).ok());
  ASSERT_TRUE(SetPath("k3s.tlsSans=[c]", config).ok());
  EXPECT_THAT(config.k3s().tls_sans(), ElementsAre("c"));
  ASSERT_TRUE(SetPath("metadata.labels[x]=a", config).ok());
  ASSERT_TRUE(SetPath("metadata.labels[x]=b", config).ok());
  EXPECT_EQ(config.metadata().labels_size(), 1);
  EXPECT_EQ(config.metadata().labels().at("x"), "b");
}

TEST(SetPath, AnEmptyValueClears) {
  v1::MachineConfig config;
  for (const char* assignment :
       {"k3s.cluster.init=true", "metadata.labels[x]=a", "k3s.env[A].value=b",
        "k3s.cluster.init=", "metadata.labels[x]=", "k3s.env[A]="}) {
    ASSERT_TRUE(SetPath(assignment, config).ok()) << assignment;
  }
  EXPECT_FALSE(config.k3s().cluster().has_init());
  EXPECT_EQ(config.metadata().labels_size(), 0);
  EXPECT_EQ(config.k3s().env_size(), 0);
}

TEST(SetPath, ClearingMakesNoSections) {
  v1::MachineConfig config;
  ASSERT_TRUE(SetPath("k3s.cluster.init=", config).ok());
  EXPECT_FALSE(config.has_k3s());
}

TEST(SetPath, ErrorsNameTheNearestAndChangeNothing) {
  v1::MachineConfig config;
  config.mutable_k3s()->set_version("v1");
  const v1::MachineConfig before = config;
  struct {
    const char* assignment;
    const char* text;
  } const kCases[] = {{"k3s.tokn=x", "unknown field `tokn`"},
                      {"k3s.cluster.init=yes", "expected true or false"},
                      {"k3s.version.x=y", "has no fields"},
                      {"k3s.tlsSans[0]=y", "no name"},
                      {"k3s.version", "PATH=VALUE"},
                      {"=x", "PATH=VALUE"},
                      {"k3s.=x", "unknown field"},
                      {"k3s.role=server\nversion: x", ""},
                      {"k3s.tlsSans=[a", "is not closed"},
                      {"k3s.version=\"v1", "not closed"},
                      {"k3s.version=#v1", "comment"},
                      {"k3s.tlsSans=a", "expected a list"},
                      {"k3s.version=[a]", "expected text"},
                      {"k3s.cluster=x", "expected a section"},
                      {"k3s.token={a: b}", "text of a secret"},
                      {"metadata.reason=a: b", "quote the text"},
                      {"metadata.labels=[a]", "expected a map"},
                      {"k3s.env[A]=b", "name a field"},
                      {"k3s.env[A]value=b", "a dot must follow"},
                      {"k3s.env[=b", ""},
                      {"K3s.version=x", "unknown field `K3s`"},
                      {"metadata.labels[site]=1", "quote it"},
                      {"metadata.labels[site=1", ""}};
  for (const auto& c : kCases) {
    const absl::Status status = SetPath(c.assignment, config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.assignment;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.text)) << c.assignment;
    EXPECT_FALSE(api::Reason(status).empty());
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(config, before)) << c.assignment;
  }
  EXPECT_EQ(api::Hint(SetPath("k3s.tokn=x", config)), "did you mean `token`?");
}

}  // namespace
}  // namespace basalt::merge
