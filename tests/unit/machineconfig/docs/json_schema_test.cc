// What the schema says; that validators agree is checked by one that nobody here wrote
// (tests/golden/check_schema.py).
#include "machineconfig/docs/json_schema.h"

#include <gmock/gmock.h>

#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"
#include "machineconfig/docs/field_doc.h"
#include "machineconfig/schema/fields.h"
#include "nlohmann/json.hpp"

namespace basalt::docs {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json Schema(const google::protobuf::Descriptor& kind = *v1::MachineConfig::descriptor()) {
  return json::parse(JsonSchema(kind));
}
json Field(const std::string& section, const std::string& name) {
  return Schema()["$defs"][section]["properties"][name];
}

TEST(JsonSchema, PortsAndSettingsMayBeNumbers) {
  EXPECT_EQ(Field("FirewallRule", "ports")["items"]["type"], (json{"string", "integer"}));
  EXPECT_EQ(Field("Kernel", "sysctls")["additionalProperties"]["type"],
            (json{"string", "null", "integer"}));
  EXPECT_EQ(Field("Interface", "name")["type"], "string");
}

TEST(JsonSchema, NoTwoKindsOfAnInterface) {
  const json excluded = Schema()["$defs"]["Interface"]["allOf"];
  EXPECT_EQ(excluded.size(), 10u);  // pairs of vlan, bond, bridge, wireguard, wifi
  EXPECT_EQ(excluded[0]["not"]["required"], (json{"vlan", "bond"}));
}

TEST(JsonSchema, EverySectionIsClosed) {
  for (const auto* kind : Kinds()) {
    const json schema = Schema(*kind);
    EXPECT_EQ(schema["additionalProperties"], false);
    for (const auto& [name, section] : schema["$defs"].items()) {
      EXPECT_EQ(section["additionalProperties"], false) << name;
    }
  }
}

TEST(JsonSchema, EveryFieldIsThereWithTitleAndDescription) {
  std::set<std::string> missing;
  for (const auto* kind : Kinds()) {
    const json schema = Schema(*kind);
    auto check = [&](const json& section, const schema::MessageInfo& info) {
      for (const auto& field : info.fields) {
        const json property = section["properties"].value(field.name, json::object());
        if (!property.contains("title") || property.value("description", "").empty()) {
          missing.insert(field.field->full_name());
        }
        if (!field.rules.default_().empty() && !property.contains("default")) {
          missing.insert(absl::StrCat(field.field->full_name(), ": default"));
        }
      }
    };
    check(schema, schema::Describe(kind));
    for (const auto& [name, section] : schema["$defs"].items()) {
      check(section, schema::Describe(kind->file()->pool()->FindMessageTypeByName(
                         absl::StrCat("basalt.v1.", name))));
    }
  }
  EXPECT_THAT(missing, ::testing::IsEmpty());
}

TEST(JsonSchema, WhatNodectlFillsInMayBeMissing) {
  EXPECT_EQ(Schema()["required"], json({"apiVersion", "kind", "metadata"}));
  EXPECT_EQ(Schema()["$defs"]["Metadata"]["required"], json({"cluster", "name"}));
}

TEST(JsonSchema, NullIsAbsent) {
  EXPECT_EQ(Field("Metadata", "reason")["type"], json({"string", "null"}));
  EXPECT_EQ(Field("Metadata", "name")["type"], "string");
  EXPECT_EQ(Schema()["$defs"]["K3s"]["type"], json({"object", "null"}));
  EXPECT_EQ(Field("K3s", "artifacts")["type"], "object");  // required: null is no section
  EXPECT_EQ(Field("ApplyOptions", "mode")["enum"], json({"commit", "try", "staged", nullptr}));
}

TEST(JsonSchema, SecretsAreTexts) {
  const json token = Field("K3s", "token");
  EXPECT_EQ(token["type"], json({"string", "null"}));
  EXPECT_THAT(token["description"].get<std::string>(), HasSubstr("!sealed"));
}

TEST(JsonSchema, LimitsDefaultsAndExamplesAreValues) {
  const json retention = Field("K3sSnapshots", "retention");
  EXPECT_EQ(retention["minimum"], 1);
  EXPECT_EQ(retention["maximum"], 1000);
  EXPECT_EQ(retention["default"], 5);
  EXPECT_EQ(Field("K3sSnapshots", "enabled")["default"], true);
  EXPECT_EQ(Field("K3sSnapshots", "schedule")["default"], "0 */12 * * *");
  EXPECT_EQ(Field("K3s", "config")["examples"][0], json({{"disable", {"traefik"}}}));
  EXPECT_EQ(Field("ClientCa", "roles")["minItems"], 1);
  EXPECT_EQ(Field("ClientCa", "roles")["uniqueItems"], true);
  EXPECT_FALSE(Field("Api", "listen").contains("minItems"));
}

TEST(JsonSchema, AWrongPatternIsToldInWords) {
  const json mac = Field("Target", "mac");
  EXPECT_EQ(mac["pattern"], "^(?:[0-9a-f]{2}(:[0-9a-f]{2}){5})$");
  EXPECT_THAT(mac["patternErrorMessage"].get<std::string>(), HasSubstr("a MAC address"));
}

TEST(JsonSchema, KeysOfK3sAreClosedAndOwnedOnesTakeNothing) {
  const json config = Field("K3s", "config");
  EXPECT_EQ(config["additionalProperties"], false);
  EXPECT_EQ(config["properties"]["cluster-cidr"]["type"],
            json({"array", "string", "integer", "null"}));
  EXPECT_EQ(config["properties"]["token"]["type"], "null");
  EXPECT_THAT(config["properties"]["token"]["errorMessage"].get<std::string>(),
              HasSubstr("`k3s.token`"));
}

TEST(JsonSchema, IsTheSameEachTimeAndKnowsItself) {
  const std::string text = JsonSchema(*v1::Action::descriptor());
  EXPECT_EQ(text, JsonSchema(*v1::Action::descriptor()));
  EXPECT_LT(text.find(std::string(kSchemaMark)), 1024u);
  EXPECT_EQ(text.back(), '\n');
}

}  // namespace
}  // namespace basalt::docs
