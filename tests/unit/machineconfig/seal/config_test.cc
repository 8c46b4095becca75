#include "machineconfig/seal/config.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/emit.h"
#include "tests/unit/machineconfig/seal/testing.h"

namespace basalt::seal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

v1::MachineConfig Sample() {
  v1::MachineConfig config;
  config.mutable_metadata()->set_cluster("home");
  config.mutable_metadata()->set_name("n1");
  v1::K3s& k3s = *config.mutable_k3s();
  k3s.mutable_token()->set_plain("the-server-token-0123456789");
  k3s.mutable_datastore()->mutable_endpoint()->set_plain("postgres://u:p@h/db");
  v1::K3sManifest& manifest = *k3s.add_manifests();
  manifest.set_name("hello");
  manifest.mutable_content()->set_plain("two\nlines\n");
  return config;
}

TEST(ConfigSecrets, AreSealedAndOpenedWhereTheyStand) {
  const Identity owner = MakeIdentity('o');
  const Identity node = MakeIdentity('n');
  const v1::MachineConfig before = Sample();
  v1::MachineConfig config = before;
  ASSERT_TRUE(SealSecrets(config, {node.recipient(), owner.recipient()}, Scripted()).ok());
  EXPECT_THAT(schema::PlaintextSecrets(config), IsEmpty());
  EXPECT_THAT(schema::SealedSecrets(config),
              ElementsAre("k3s.datastore.endpoint", "k3s.token", "k3s.manifests[hello].content"));
  EXPECT_THAT(yaml::Emit(config), Not(HasSubstr("server-token")));
  for (const Identity* one : {&owner, &node}) {
    v1::MachineConfig opened = config;
    EXPECT_THAT(OpenSecrets(opened, {one, 1}), IsEmpty());
    EXPECT_EQ(opened.SerializeAsString(), before.SerializeAsString());
  }
}

// What is written with !sealed is read back and opens: a payload is made of it.
TEST(ConfigSecrets, SurviveTheWayThroughYaml) {
  const Identity node = MakeIdentity('n');
  v1::MachineConfig config = Sample();
  ASSERT_TRUE(SealSecrets(config, {node.recipient()}, Scripted()).ok());
  absl::StatusOr<v1::MachineConfig> again = validate::LoadAccepted(yaml::Emit(config));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(OpenSecrets(*again, {&node, 1}), IsEmpty());
  EXPECT_EQ(again->k3s().manifests(0).content().plain(), "two\nlines\n");
}

TEST(ConfigSecrets, WhatDoesNotOpenStaysAndIsNamedByItsPath) {
  const Identity node = MakeIdentity('n');
  const Identity stranger = MakeIdentity('s');
  v1::MachineConfig config = Sample();
  ASSERT_TRUE(SealSecrets(config, {node.recipient()}, Scripted()).ok());
  v1::MachineConfig moved = config;
  // The endpoint, which is shown to nobody, where a manifest stands, which pods may read.
  *moved.mutable_k3s()->mutable_manifests(0)->mutable_content() =
      config.k3s().datastore().endpoint();
  std::vector<api::Violation> wrong = OpenSecrets(moved, {&node, 1});
  ASSERT_EQ(wrong.size(), 1u);
  EXPECT_EQ(wrong[0].path, "k3s.manifests[hello].content");
  EXPECT_EQ(wrong[0].reason, "wrong-seal-context");
  EXPECT_TRUE(moved.k3s().manifests(0).content().has_sealed());
  EXPECT_TRUE(moved.k3s().token().has_plain());
  EXPECT_EQ(OpenSecrets(config, {&stranger, 1}).size(), 3u);
}

TEST(ConfigSecrets, ARenamedNodeIsAnotherPlace) {
  const Identity node = MakeIdentity('n');
  v1::MachineConfig config = Sample();
  ASSERT_TRUE(SealSecrets(config, {node.recipient()}, Scripted()).ok());
  config.mutable_metadata()->set_name("n2");
  std::vector<api::Violation> wrong = OpenSecrets(config, {&node, 1});
  ASSERT_EQ(wrong.size(), 3u);
  EXPECT_EQ(wrong[0].reason, "wrong-seal-context");
}

TEST(ConfigSecrets, KeysOfK3sThatHoldSecretsCountAsStandingInTheClear) {
  v1::MachineConfig config;
  (*config.mutable_k3s()->mutable_config())["etcd-s3-secret-key"].set_text("abc");
  (*config.mutable_k3s()->mutable_config())["etcd-s3-bucket"].set_text("abc");
  EXPECT_THAT(schema::PlaintextSecrets(config), ElementsAre("k3s.config[etcd-s3-secret-key]"));
}

TEST(ConfigSecrets, AreOverwrittenWhenTheyAreLetGo) {
  v1::MachineConfig config = Sample();
  const std::string* token = &config.k3s().token().plain();
  schema::CleanseSecrets(config);
  EXPECT_EQ(*token, std::string(token->size(), '\0'));
}

}  // namespace
}  // namespace basalt::seal
