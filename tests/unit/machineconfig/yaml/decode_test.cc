#include "machineconfig/yaml/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/yaml/decode_value.h"

namespace basalt::yaml {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Errors(const DecodeResult& result) {
  std::vector<std::string> out;
  for (const auto& e : result.errors) out.push_back(e.ToString());
  return out;
}

std::vector<std::string> ErrorsOf(absl::string_view text) {
  v1::MachineConfig config;
  return Errors(Decode(text, "f", config));
}

TEST(Decode, ReadsEveryKindOfField) {
  v1::MachineConfig config;
  const auto result = Decode(R"(
kind: MachineConfig
metadata:
  generation: 9223372036854775807
  apply: {mode: staged}
  allow: [roleChange]
  labels: {site: lab, "n": "1"}
k3s:
  role: agent
  cluster: {init: false}
  token: 12345
  agentToken: !sealed |
    age
  config: {a: true, b: -7, c: text, d: [1, true, "x"], e: "5", f: 0644, g: 1.5}
)",
                             "f", config);
  ASSERT_THAT(Errors(result), IsEmpty());
  EXPECT_EQ(config.metadata().generation(), INT64_MAX);
  EXPECT_EQ(config.metadata().apply().mode(), v1::APPLY_MODE_STAGED);
  EXPECT_EQ(config.metadata().labels().at("n"), "1");
  EXPECT_EQ(config.k3s().role(), v1::K3S_ROLE_AGENT);
  EXPECT_TRUE(config.k3s().cluster().has_init());
  EXPECT_EQ(config.k3s().token().plain(), "12345");
  EXPECT_EQ(config.k3s().agent_token().sealed(), "age\n");
  const auto& values = config.k3s().config();
  EXPECT_TRUE(values.at("a").boolean());
  EXPECT_EQ(values.at("b").integer(), -7);
  EXPECT_EQ(values.at("c").text(), "text");
  EXPECT_THAT(values.at("d").list().values(), ElementsAre("1", "true", "x"));
  EXPECT_EQ(values.at("e").text(), "5");
  EXPECT_EQ(values.at("f").text(), "0644");
  EXPECT_EQ(values.at("g").text(), "1.5");
}

TEST(Decode, P2_StringsStayStrings) {
  for (const char* text : {"no", "0777", "1e3", "12:30:45", "007", "true", "0x10", "1.50"}) {
    v1::MachineConfig config;
    ASSERT_TRUE(Decode(absl::StrCat("metadata: {name: ", text, "}"), "f", config).ok()) << text;
    EXPECT_EQ(config.metadata().name(), text);
  }
}

TEST(Decode, P2_NumbersAreDecimalOrAnError) {
  for (const char* text : {"0644", "0x10", "0o17", "1e3", "12:30:45", "1.0", "+5", "5m", "--5",
                           "\"5\"", "1_000", "true", "[1]"}) {
    EXPECT_THAT(ErrorsOf(absl::StrCat("metadata: {epoch: ", text, "}")),
                ElementsAre(HasSubstr("expected a whole number")))
        << text;
  }
}

TEST(Decode, D15_NumbersNeverWrap) {
  EXPECT_THAT(ErrorsOf("metadata: {generation: 9223372036854775807}"), IsEmpty());
  EXPECT_THAT(ErrorsOf("metadata: {generation: 9223372036854775808}"),
              ElementsAre("f:1:24: metadata.generation: the number `9223372036854775808` is too "
                          "large"));
  EXPECT_THAT(ErrorsOf("metadata: {generation: -9223372036854775809}"),
              ElementsAre(HasSubstr("too small")));
  EXPECT_THAT(ErrorsOf("k3s: {config: {a: 9223372036854775808}}"),
              ElementsAre(HasSubstr("does not fit")));
}

TEST(Decode, P2_BooleansAreTrueAndFalseAlone) {
  for (const char* text : {"yes", "on", "True", "TRUE", "y", "1", "\"true\"", "[true]"}) {
    EXPECT_THAT(ErrorsOf(absl::StrCat("k3s: {cluster: {init: ", text, "}}")),
                ElementsAre(HasSubstr("expected true or false")))
        << text;
  }
}

TEST(Decode, P2_DuplicateKeysNameBothPlaces) {
  EXPECT_THAT(ErrorsOf("kind: a\nmetadata:\n  name: x\n  name: y\n  labels: {a: b, a: c}\n"),
              ElementsAre("f:4:3: metadata.name: the field is given twice; first at 3:3; remove "
                          "one of the two",
                          "f:5:18: metadata.labels[a]: the key is given twice; first at 5:12; "
                          "remove one of the two"));
}

TEST(Decode, P2_MapsOfTextsWantNumbersQuoted) {
  EXPECT_THAT(ErrorsOf("metadata: {labels: {site: 1}}"),
              ElementsAre("f:1:27: metadata.labels[site]: expected text, found a number; quote it: "
                          "\"1\""));
}

TEST(Decode, SettingsOfTheKernelMayBeNumbers) {
  v1::MachineConfig config;
  const auto result = Decode(
      "system: {kernel: {sysctls: {vm.swappiness: 10, net.x: -1, kernel.y: \"1 2\"}}}", "", config);
  EXPECT_TRUE(result.ok());
  const auto& sysctls = config.system().kernel().sysctls();
  EXPECT_EQ(sysctls.at("vm.swappiness"), "10");
  EXPECT_EQ(sysctls.at("net.x"), "-1");
  v1::MachineConfig other;
  EXPECT_FALSE(Decode("system: {kernel: {sysctls: {vm.x: true}}}", "", other).ok());
  EXPECT_FALSE(Decode("system: {kernel: {sysctls: {vm.x: 1e3}}}", "", other).ok());
}

TEST(Decode, AnInterfaceIsOneKindOfThing) {
  v1::MachineConfig config;
  const auto result = Decode(
      "network:\n  interfaces:\n    - name: a\n      vlan: {link: b, id: 1}\n      bond: {members: "
      "[b]}\n",
      "", config);
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(
      result.errors[0].ToString(),
      "5:7: network.interfaces[a].bond: cannot stand beside `vlan` (line 4); keep one of the two");
  v1::MachineConfig null;
  EXPECT_TRUE(
      Decode("network: {interfaces: [{name: a, vlan: null, bond: {members: [b]}}]}", "", null)
          .ok());
}

TEST(Decode, P3_UnknownFieldsNameTheNearest) {
  EXPECT_THAT(ErrorsOf("k3s: {tokn: x}"),
              ElementsAre("f:1:7: k3s.tokn: unknown field; did you mean `token`?"));
  EXPECT_THAT(ErrorsOf("k3s: {server: x}"),
              ElementsAre("f:1:7: k3s.server: unknown field; `server` belongs under "
                          "`k3s.cluster`"));
  EXPECT_THAT(ErrorsOf("k3s: {disable: [traefik]}"),
              ElementsAre(HasSubstr("K3s's own keys belong under `k3s.config`")));
  EXPECT_THAT(ErrorsOf("k3s: {node-label: [a]}"), ElementsAre(HasSubstr("`k3s.node.labels`")));
}

TEST(Decode, P3_WrongTypesSayWhatIsExpectedAndAllAreReported) {
  EXPECT_THAT(
      ErrorsOf("target: x\nk3s:\n  role: serve\n  tlsSans: a\n  token: [x]\n  version: {a: b}\n"),
      ElementsAre(HasSubstr("1:9: target: expected a section"),
                  HasSubstr("3:9: k3s.role: `serve` is not one of server, agent; did you mean"),
                  HasSubstr("4:12: k3s.tlsSans: expected a list, found text; write [a]"),
                  HasSubstr("5:10: k3s.token: expected the text of a secret, found a list"),
                  HasSubstr("6:12: k3s.version: expected text, found a map")));
}

TEST(Decode, NullIsAbsentButNotInLists) {
  v1::MachineConfig config;
  EXPECT_TRUE(Decode("k3s: {node: , cluster: ~, tlsSans: null}", "f", config).ok());
  EXPECT_TRUE(config.has_k3s());
  EXPECT_FALSE(config.k3s().has_node());
  EXPECT_THAT(ErrorsOf("k3s: {tlsSans: [a, ~]}"), ElementsAre(HasSubstr("k3s.tlsSans[1]")));
}

TEST(Decode, SealedIsForSecretsAlone) {
  EXPECT_THAT(ErrorsOf("k3s: {version: !sealed x, config: {a: !sealed b}}"),
              ElementsAre(HasSubstr("not a secret"), HasSubstr("not a secret")));
  EXPECT_THAT(ErrorsOf("k3s: {!sealed role: server}"), ElementsAre(HasSubstr("cannot be sealed")));
}

TEST(Decode, TheSourceMapHoldsEveryKeyAndElement) {
  v1::MachineConfig config;
  const auto result = Decode(
      "api:\n  clientCas:\n    - roles: [admin]\n      name: a\n    - name: a\nmetadata:\n  "
      "labels:\n"
      "    site: x\n",
      "f", config);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.source.at("api.clientCas[a].roles[0]"), (Position{3, 15}));
  EXPECT_EQ(result.source.at("api.clientCas[a]"), (Position{3, 7}));
  EXPECT_EQ(result.source.at("api.clientCas[1].name"), (Position{5, 7}));
  EXPECT_EQ(result.source.at("metadata.labels[site]"), (Position{8, 5}));
}

TEST(Decode, StopsAfterAHundredErrors) {
  std::string text = "metadata:\n";
  for (int i = 0; i < 500; ++i) absl::StrAppend(&text, "  unknown", i, ": x\n");
  const auto errors = ErrorsOf(text);
  ASSERT_EQ(errors.size(), 101u);
  EXPECT_EQ(errors.back(), "f: more than 100 errors; stopped here");
}

TEST(Decode, ErrorsNeverHoldSecrets) {
  for (const char* text : {"k3s: {token: {a: hunter2}}", "k3s: {token: [hunter2]}",
                           "k3s: {token: hunter2, token: hunter2}", "k3s: {token: !x hunter2}",
                           "k3s: {token: \"hunter2\\x01\"}"}) {
    const auto errors = ErrorsOf(text);
    ASSERT_EQ(errors.size(), 1u) << text;
    EXPECT_THAT(errors[0], ::testing::Not(HasSubstr("hunter2")));
  }
}

TEST(PeekHeader, ReadsKindAndVersionOfAnyDocument) {
  const Header header = PeekHeader("spec: [{}]\nkind: Pod\napiVersion: v1\n");
  EXPECT_EQ(header.kind, "Pod");
  EXPECT_EQ(header.api_version, "v1");
  EXPECT_EQ(PeekHeader("kind: [x").kind, "");
  EXPECT_EQ(PeekHeader("").kind, "");
  EXPECT_EQ(PeekHeader("- kind: x").kind, "");
}

}  // namespace
}  // namespace basalt::yaml
