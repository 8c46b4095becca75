#include "machineconfig/schema/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/protobuf/util/message_differencer.h"
#include "machineconfig/schema/fields.h"

namespace basalt::schema {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Resolve, FillsAbsentScalarsOfPresentMessages) {
  v1::MachineConfig config;
  config.mutable_metadata()->set_name("pi");
  config.mutable_k3s()->mutable_snapshots()->set_retention(9);
  const v1::MachineConfig out = Resolve(config);
  EXPECT_EQ(out.metadata().apply().mode(), v1::APPLY_MODE_COMMIT);
  EXPECT_EQ(out.metadata().apply().confirm_within(), "5m");
  EXPECT_EQ(out.k3s().health().readyz(), "120s");
  EXPECT_EQ(out.k3s().snapshots().retention(), 9);
  EXPECT_EQ(out.k3s().snapshots().schedule(), "0 */12 * * *");
  EXPECT_TRUE(out.k3s().snapshots().enabled());
}

TEST(Resolve, LeavesAbsentSectionsAbsent) {
  v1::MachineConfig config;
  const v1::MachineConfig out = Resolve(config);
  EXPECT_FALSE(out.has_metadata());
  EXPECT_FALSE(out.has_k3s());
  config.mutable_k3s();
  EXPECT_FALSE(Resolve(config).k3s().has_snapshots());
}

TEST(Resolve, TwiceIsOnce) {
  v1::MachineConfig config;
  config.mutable_metadata();
  config.mutable_k3s()->mutable_registries()->add_configs()->set_name("x");
  const v1::MachineConfig once = Resolve(config);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(once, Resolve(once)));
  EXPECT_TRUE(once.k3s().registries().configs(0).has_insecure_skip_verify());
}

TEST(Resolve, FillsPolicies) {
  v1::TrustPolicy policy;
  policy.mutable_root();
  policy.add_grants();
  const v1::TrustPolicy out = Resolve(policy);
  EXPECT_EQ(out.root().threshold(), 1);
  EXPECT_EQ(out.grants(0).threshold(), 1);
  EXPECT_TRUE(out.allow_plaintext_secrets());
}

v1::MachineConfig WithSecrets() {
  v1::MachineConfig config;
  v1::K3s& k3s = *config.mutable_k3s();
  k3s.mutable_token()->set_plain("the-server-token");
  k3s.mutable_agent_token()->set_sealed("the-sealed-text");
  k3s.mutable_node_password()->set_plain("abc");
  k3s.mutable_datastore()->mutable_endpoint()->set_plain("postgres://u:db-password@h/k3s");
  k3s.add_manifests()->mutable_content()->set_plain("kind: Secret");
  k3s.mutable_registries()->add_configs()->mutable_password()->set_plain("hunter2");
  (*k3s.mutable_config())["etcd-s3-secret-key"].set_text("s3-value");
  (*k3s.mutable_config())["disable"].set_text("traefik");
  return config;
}

TEST(Redact, LeavesNoSecretBehind) {
  const std::string text = Redact(WithSecrets()).ShortDebugString();
  for (const char* secret : {"the-server-token", "the-sealed-text", "abc", "db-password",
                             "kind: Secret", "hunter2", "s3-value"}) {
    EXPECT_THAT(text, Not(HasSubstr(secret)));
  }
  EXPECT_THAT(text, HasSubstr("traefik"));
  EXPECT_THAT(text, HasSubstr("(redacted)"));
}

// Each field of type Secret of the whole schema, wherever it stands: filled, and gone.
void FillSecrets(google::protobuf::Message& message, int depth, int& count) {
  const auto& r = *message.GetReflection();
  for (const FieldInfo& field : Describe(message.GetDescriptor()).fields) {
    if (field.kind != FieldKind::kSecret && (field.kind != FieldKind::kMessage || depth > 8)) {
      continue;
    }
    const auto* oneof = field.field->real_containing_oneof();
    if (oneof != nullptr && r.HasOneof(message, oneof) && field.name != "wireguard") continue;
    google::protobuf::Message& below = field.repeated ? *r.AddMessage(&message, field.field)
                                                      : *r.MutableMessage(&message, field.field);
    if (field.kind == FieldKind::kSecret) {
      static_cast<v1::Secret&>(below).set_plain("planted-" + std::to_string(++count));
    } else {
      FillSecrets(below, depth + 1, count);
    }
  }
}

TEST(Redact, S15_NoSecretOfAnySectionIsLeft) {
  v1::MachineConfig config;
  int count = 0;
  FillSecrets(config, 0, count);
  EXPECT_GE(count, 15);
  EXPECT_GE(config.network().interfaces(0).wireguard().peers_size(), 1);
  EXPECT_TRUE(config.storage().volumes(0).encryption().has_passphrase());
  EXPECT_TRUE(config.audit().sinks(0).has_token());
  EXPECT_TRUE(config.system().proxy().has_password());
  EXPECT_EQ(SecretValues(config).size(), static_cast<size_t>(count));
  EXPECT_THAT(Redact(config).DebugString(), Not(HasSubstr("planted-")));
}

TEST(SecretValues, ListsOpenedSecretsLongestFirst) {
  EXPECT_THAT(SecretValues(WithSecrets()),
              ElementsAre("postgres://u:db-password@h/k3s", "the-server-token", "kind: Secret",
                          "db-password", "s3-value", "hunter2"));
}

}  // namespace
}  // namespace basalt::schema
