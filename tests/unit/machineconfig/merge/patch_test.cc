#include "machineconfig/merge/patch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/coded_status.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::merge {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kConfig[] = R"(
metadata:
  name: n1
  labels: {site: lab, rack: one}
api:
  clientCas:
    - {name: owner, certificate: c, roles: [admin]}
    - {name: ci, certificate: d, roles: [deliver, reader]}
k3s:
  role: server
  cluster: {init: true}
  tlsSans: [a, b]
  config: {disable: [traefik], flannel-backend: none}
)";

// What the config says after the patch; else the errors.
std::string After(const std::string& patch, absl::Status* status = nullptr) {
  v1::MachineConfig config;
  EXPECT_TRUE(yaml::Decode(kConfig, "", config).ok());
  const std::string before = yaml::Emit(config);
  const absl::Status got = Patch(patch, "p.yaml", config);
  if (status != nullptr) *status = got;
  if (!got.ok()) {
    EXPECT_EQ(yaml::Emit(config), before) << "a refused patch changes nothing";
    std::string out;
    for (const auto& v : api::Violations(got)) out += v.ToString() + "\n";
    return out;
  }
  return yaml::Emit(config);
}

TEST(Patch, SectionsAndMapsMerge) {
  const std::string out =
      After("{metadata: {labels: {rack: two, zone: z}}, k3s: {version: v1.30.4+k3s1}}");
  EXPECT_THAT(out, HasSubstr("    rack: two\n    site: lab\n    zone: z\n"));
  EXPECT_THAT(out, HasSubstr("role: server"));
  EXPECT_THAT(out, HasSubstr("version: v1.30.4+k3s1"));
}

TEST(Patch, NullTakesAway) {
  const std::string out =
      After("{metadata: {labels: {rack: null}}, k3s: {cluster: null, config: {disable: ~}}}");
  EXPECT_THAT(out, Not(HasSubstr("rack")));
  EXPECT_THAT(out, Not(HasSubstr("cluster:")));
  EXPECT_THAT(out, Not(HasSubstr("disable")));
  EXPECT_THAT(out, HasSubstr("flannel-backend"));
}

TEST(Patch, NamedThingsMergeByName) {
  const std::string out =
      After("{api: {clientCas: [{name: ci, certificate: e}, {name: new, certificate: f}]}}");
  EXPECT_THAT(out, HasSubstr("- name: ci\n      certificate: e\n      roles:\n"));
  EXPECT_THAT(out, HasSubstr("- name: new\n      certificate: f\n"));
  EXPECT_THAT(out, HasSubstr("- name: owner\n"));
}

TEST(Patch, ANamedThingIsDeletedOrReplaced) {
  const std::string out = After(
      "{api: {clientCas: [{name: ci, $patch: delete}, {name: owner, $patch: replace, "
      "certificate: z}]}}");
  EXPECT_THAT(out, Not(HasSubstr("ci")));
  EXPECT_THAT(out, HasSubstr("- name: owner\n      certificate: z\nk3s"));
}

TEST(Patch, ASetGrowsAndShrinksByValue) {
  EXPECT_THAT(After("{k3s: {tlsSans: [b, c]}}"),
              HasSubstr("tlsSans:\n    - a\n    - b\n    - c\n"));
  EXPECT_THAT(After("{k3s: {$deleteFromPrimitiveList/tlsSans: [a], tlsSans: [c]}}"),
              HasSubstr("tlsSans:\n    - b\n    - c\n"));
}

TEST(Patch, ReplaceWritesListsAndSectionsAnew) {
  EXPECT_THAT(After("{k3s: {tlsSans: [{$patch: replace}, c]}}"), HasSubstr("tlsSans:\n    - c\n"));
  EXPECT_THAT(After("{k3s: {config: {$patch: replace, debug: true}}}"),
              HasSubstr("config:\n    debug: true\n"));
  EXPECT_THAT(After("{metadata: {labels: {$patch: delete}}}"), Not(HasSubstr("labels")));
}

TEST(Patch, AListOfK3sIsReplaced) {
  EXPECT_THAT(After("{k3s: {config: {disable: [servicelb]}}}"),
              HasSubstr("disable:\n      - servicelb\n    flannel"));
}

TEST(Patch, JsonIsAPatch) {
  EXPECT_THAT(After("{\"k3s\": {\"role\": \"agent\", \"cluster\": null}}"),
              HasSubstr("role: agent"));
}

TEST(Patch, TellsAllErrorsWithTheirPlaces) {
  absl::Status status;
  const std::string out = After(
      "k3s:\n  rolle: agent\n  version: [a]\n  config: {$patch: drop}\napi:\n  clientCas:\n"
      "    - certificate: x\n    - {$patch: delete}\n  $frob: 1\n",
      &status);
  EXPECT_THAT(api::Violations(status), SizeIs(6)) << out;
  EXPECT_THAT(out, HasSubstr("p.yaml:2:3: k3s.rolle: unknown field; did you mean `role`?"));
  EXPECT_THAT(out, HasSubstr("p.yaml:3:12: k3s.version: "));
  EXPECT_THAT(out, HasSubstr("`$patch` is one of merge, replace, delete"));
  EXPECT_THAT(out, HasSubstr("which element? `name` is missing"));
  EXPECT_THAT(out, HasSubstr("`$frob` is no directive"));
}

TEST(Patch, AKeyOfAMapThatIsGivenTwiceIsAnError) {
  EXPECT_THAT(After("{metadata: {labels: {a: x, a: y}}}"),
              HasSubstr("p.yaml:1:28: metadata.labels[a]: the key is given twice"));
}

TEST(Patch, WhatCannotBeDoneInAMapIsTold) {
  EXPECT_THAT(After("{k3s: {config: {$deleteFromPrimitiveList/disable: [traefik]}}}"),
              HasSubstr("a list is written whole"));
}

TEST(Patch, WhatStandsBesideADeletionIsNotLostInSilence) {
  EXPECT_THAT(After("{api: {clientCas: [{name: ci, $patch: delete, roles: [admin]}]}}"),
              HasSubstr("api.clientCas[ci]: `$patch: delete` takes the whole element away"));
}

TEST(Patch, AWordIsNoPatch) {
  EXPECT_THAT(After("agent"), HasSubstr("a patch is a map of fields"));
  EXPECT_THAT(After(""), HasSubstr("a patch is a map of fields"));
  EXPECT_THAT(After("{$patch: replace}"), HasSubstr("whole document"));
}

}  // namespace
}  // namespace basalt::merge
