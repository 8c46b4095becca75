#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "machineconfig/validate/validate.h"

namespace basalt::validate {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kHead[] = "apiVersion: basalt/v1\nkind: MachineConfig\n";

std::vector<std::string> Errors(absl::string_view text, Stage stage = Stage::kSource) {
  std::vector<std::string> out;
  for (const auto& v : api::Violations(Load(text, "", stage).status())) {
    out.push_back(absl::StrCat(v.reason, " ", v.line, ":", v.column, " ", v.path));
  }
  return out;
}

TEST(Validate, ASourceMayLeaveOutWhatNodectlFillsIn) {
  const std::string source = absl::StrCat(kHead, "metadata: {cluster: home, name: pi}\n");
  EXPECT_THAT(Errors(source, Stage::kSource), IsEmpty());
  EXPECT_THAT(Errors(source, Stage::kComplete),
              ElementsAre("required 1:1 target", "required 3:1 metadata.epoch",
                          "required 3:1 metadata.generation", "required 3:1 metadata.signedAt"));
}

TEST(Validate, P3_AWrongKindOrVersionIsSaidOnce) {
  EXPECT_THAT(Errors("apiVersion: v1\nkind: Pod\nspec: {}\n"), ElementsAre("wrong-kind 2:1 kind"));
  EXPECT_THAT(Errors("apiVersion: basalt/v9\nkind: MachineConfig\nnew: 1\n"),
              ElementsAre("wrong-api-version 1:1 apiVersion"));
}

TEST(Validate, ReadingAndCheckingReportTogetherButNotTwice) {
  // `cluster` is misspelt and so not missing too; `name` could not be read; the format of the label
  // is a finding of its own.
  EXPECT_THAT(Errors(absl::StrCat(kHead,
                                  "metadata:\n  clustr: home\n  name: [x]\n"
                                  "  labels: {\"a b\": c}\n")),
              ElementsAre("unknown-field 4:3 metadata.clustr", "wrong-type 5:9 metadata.name",
                          "bad-format 6:12 metadata.labels[a b]"));
}

TEST(Validate, AMisplacedFieldIsNotMissingToo) {
  EXPECT_THAT(Errors(absl::StrCat(kHead,
                                  "metadata: {cluster: home, name: pi}\n"
                                  "k3s:\n  role: agent\n  version: v1.30.4+k3s1\n"
                                  "  agentToken: 0123456789abcdefghij\n"
                                  "  server: https://pi-0:6443\n"
                                  "  artifacts: {arm: {urls: [file:///x/k3s], sha256: ",
                                  std::string(64, 'a'), "}}\n")),
              ElementsAre("unknown-field 8:3 k3s.server"));
}

TEST(Validate, RangesSizesAndDuplicatesAreChecked) {
  EXPECT_THAT(
      Errors(absl::StrCat(kHead,
                          "metadata: {cluster: home, name: pi, epoch: 0, allow: [x, "
                          "downgrade, downgrade], reason: ",
                          std::string(1025, 'r'), "}\n")),
      ElementsAre("out-of-range 3:37 metadata.epoch", "not-allowed 3:55 metadata.allow[0]",
                  "duplicate-element 3:69 metadata.allow[2]", "out-of-range 3:81 metadata.reason"));
}

TEST(Validate, WithoutASourceTheFindingsHaveNoPosition) {
  v1::MachineConfig config;
  config.mutable_metadata()->set_name("UPPER");
  const Findings findings = Validate(config, Stage::kSource);
  ASSERT_FALSE(findings.ok());
  for (const auto& v : findings.errors) EXPECT_EQ(v.line, 0) << v.ToString();
}

TEST(Validate, NobodyToReadIsAWarning) {
  std::vector<api::Violation> warnings;
  ASSERT_TRUE(Load(absl::StrCat(kHead, "metadata: {cluster: home, name: pi}\n"), "f",
                   Stage::kSource, &warnings)
                  .ok());
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].reason, "no-readers");
}

TEST(Validate, TheTargetMustNameAMachine) {
  const std::string complete =
      absl::StrCat(kHead,
                   "metadata: {cluster: home, name: pi, epoch: 1, generation: 1, signedAt: "
                   "2026-11-23T22:15:00Z}\n");
  EXPECT_THAT(Errors(complete + "target: {}\n", Stage::kComplete),
              ElementsAre("required 4:1 target"));
  EXPECT_THAT(Errors(complete + "target: {serial: abc}\n", Stage::kComplete), IsEmpty());
}

TEST(Validate, EveryErrorCarriesReasonAndText) {
  const auto status = Load("metadata: {epoch: -1, zzz: 1}\n", "f.yaml", Stage::kComplete).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(api::Reason(status), "invalid-config");
  for (const auto& v : api::Violations(status)) {
    EXPECT_FALSE(v.reason.empty());
    EXPECT_FALSE(v.message.empty());
    EXPECT_EQ(v.file, "f.yaml");
    EXPECT_GT(v.line, 0);
  }
}

TEST(Validate, NoNetworkAtAllIsNotReadAsEveryNetwork) {
  EXPECT_THAT(Errors(absl::StrCat(kHead,
                                  "metadata: {cluster: home, name: pi}\n"
                                  "api: {allowedNetworks: []}\n")),
              ElementsAre("empty-list 4:7 api.allowedNetworks"));
}

}  // namespace
}  // namespace basalt::validate
