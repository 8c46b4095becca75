#include "machineconfig/schema/fields.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"

namespace basalt::schema {
namespace {

TEST(Fields, EnumsAreSpeltInLowerKebabWithoutTheirPrefix) {
  const auto& type = *v1::ApplyMode_descriptor();
  EXPECT_EQ(EnumName(*type.FindValueByName("APPLY_MODE_COMMIT")), "commit");
  EXPECT_EQ(FindEnum(type, "staged")->number(), v1::APPLY_MODE_STAGED);
  EXPECT_EQ(FindEnum(type, "unspecified"), nullptr);
  EXPECT_EQ(FindEnum(type, "COMMIT"), nullptr);
  EXPECT_EQ(EnumName(*v1::K3sRole_descriptor()->FindValueByName("K3S_ROLE_AGENT")), "agent");
}

bool HoldsSecret(const MessageInfo& info) {
  return std::any_of(info.fields.begin(), info.fields.end(), [](const FieldInfo& field) {
    return field.kind == FieldKind::kSecret ||
           (field.message != nullptr && HoldsSecret(*field.message));
  });
}

// The rules of the schema itself, for every message that a document can hold.
void CheckSchema(const MessageInfo& info, std::set<const MessageInfo*>& seen) {
  if (!seen.insert(&info).second) return;
  for (const FieldInfo& field : info.fields) {
    const std::string& name = field.field->full_name();
    EXPECT_NE(field.kind, FieldKind::kUnsupported) << name;
    const bool scalar = field.kind != FieldKind::kMessage && field.kind != FieldKind::kSecret &&
                        field.kind != FieldKind::kMap;
    if (scalar && !field.repeated) {
      EXPECT_TRUE(field.field->has_presence()) << name;
    }
    if (field.repeated) {
      EXPECT_NE(field.rules.list(), v1::LIST_UNSPECIFIED) << name;
    }
    if (field.rules.list() == v1::LIST_MAP) {
      ASSERT_NE(field.key, nullptr) << name;
      EXPECT_TRUE(field.key->rules.required()) << name << ": the key of a list must be required";
      EXPECT_EQ(field.key->kind, FieldKind::kString) << name;
    }
    if (field.kind == FieldKind::kEnum) {
      const auto& zero = *field.field->enum_type()->value(0);
      EXPECT_EQ(zero.number(), 0) << name;
      EXPECT_TRUE(absl::EndsWith(zero.name(), "_UNSPECIFIED")) << name;
    }
    if (!field.rules.pattern().empty()) {
      EXPECT_FALSE(field.rules.means().empty()) << name << ": a person cannot read a pattern";
      EXPECT_FALSE(field.rules.example().empty()) << name;
    }
    if (field.kind == FieldKind::kSecret) {
      EXPECT_TRUE(field.rules.default_().empty()) << name;
    }
    // Lists without keys compare by their texts, in which all secrets look alike.
    const bool by_text = field.repeated && field.key == nullptr;
    EXPECT_FALSE(by_text && (field.kind == FieldKind::kSecret ||
                             (field.message != nullptr && HoldsSecret(*field.message))))
        << name;
    EXPECT_FALSE(field.rules.required() && !field.rules.default_().empty()) << name;
    if (field.message != nullptr) CheckSchema(*field.message, seen);
  }
}

TEST(Fields, TheSchemaKeepsItsOwnRules) {
  std::set<const MessageInfo*> seen;
  CheckSchema(Describe(v1::MachineConfig::descriptor()), seen);
  CheckSchema(Describe(v1::TrustPolicy::descriptor()), seen);
  CheckSchema(Describe(v1::Action::descriptor()), seen);
  EXPECT_GT(seen.size(), 20u);
}

TEST(Fields, ElementsArePathedByKeyAndTheSecondOfAKeyByIndex) {
  v1::Api api;
  api.add_client_cas()->set_name("a");
  api.add_client_cas()->set_name("a");
  api.add_client_cas();
  api.add_client_cas()->set_name(std::string(kMaxPathKey + 1, 'x'));
  const FieldInfo& field = *Describe(v1::Api::descriptor()).Find("clientCas");
  EXPECT_EQ(ElementPath("api.clientCas", api, field, 0), "api.clientCas[a]");
  EXPECT_EQ(ElementPath("api.clientCas", api, field, 1), "api.clientCas[1]");
  EXPECT_EQ(ElementPath("api.clientCas", api, field, 2), "api.clientCas[2]");
  EXPECT_EQ(ElementPath("api.clientCas", api, field, 3), "api.clientCas[3]");
}

TEST(Fields, NearestFindsTyposAndNothingFarther) {
  const std::vector<absl::string_view> names = {"token", "role", "tlsSans", "agentToken"};
  EXPECT_EQ(Nearest("tokn", names), "token");
  EXPECT_EQ(Nearest("roel", names), "role");
  EXPECT_EQ(Nearest("tlssans", names), "tlsSans");
  EXPECT_EQ(Nearest("zebra", names), "");
  EXPECT_EQ(Nearest("x86_64", {"amd64", "arm64", "arm"}), "amd64");
  EXPECT_EQ(Nearest("Master", {"server", "agent"}), "server");
  EXPECT_EQ(Nearest("master", names), "");
  EXPECT_EQ(Nearest("", names), "");
}

TEST(Fields, AUniqueNameIsFoundElsewhere) {
  const MessageInfo& root = Describe(v1::MachineConfig::descriptor());
  EXPECT_EQ(UniquePathOf(root, "caHash"), "k3s.cluster.caHash");
  EXPECT_EQ(UniquePathOf(root, "name"), "");  // many
  EXPECT_EQ(UniquePathOf(root, "nothing"), "");
}

}  // namespace
}  // namespace basalt::schema
