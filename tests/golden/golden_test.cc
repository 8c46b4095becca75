// What users see for a document, and what ships as a default, kept as files.
//
// configs/NAME.yaml is loaded as the kind it says (a first line "# complete" makes it a document as
// it is signed); configs/NAME.errors holds every finding, one a line, warnings with "warning: "
// before them; no such file means no findings. After a deliberate change run the program with
// BASALT_UPDATE_GOLDEN=1 and read the difference.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"
#include "google/protobuf/util/message_differencer.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/decode_value.h"
#include "machineconfig/yaml/emit.h"
#include "machineconfig/yaml/flow.h"

namespace basalt {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool Updating() { return std::getenv("BASALT_UPDATE_GOLDEN") != nullptr; }

void ExpectFile(const fs::path& path, const std::string& actual) {
  if (Updating()) {
    if (actual.empty()) {
      fs::remove(path);
    } else {
      std::ofstream(path, std::ios::binary) << actual;
    }
    return;
  }
  EXPECT_EQ(fs::exists(path) ? ReadFile(path) : "", actual) << path.filename();
}

std::string FindingsOf(const std::string& text) {
  std::vector<api::Violation> warnings;
  const yaml::Header header = yaml::PeekHeader(text);
  absl::Status status;
  if (header.kind == "TrustPolicy") {
    status = validate::LoadTrustPolicy(text, "").status();
  } else if (header.kind == "Action") {
    status = validate::LoadAction(text, "").status();
  } else {
    const auto stage = absl::StartsWith(text, "# complete") ? validate::Stage::kComplete
                                                            : validate::Stage::kSource;
    status = validate::Load(text, "", stage, &warnings).status();
  }
  std::string out;
  for (const auto& v : api::Violations(status)) {
    absl::StrAppend(&out, v.reason, ": ", v.ToString(), "\n");
  }
  EXPECT_EQ(status.ok(), out.empty());
  for (const auto& v : warnings)
    absl::StrAppend(&out, "warning: ", v.reason, ": ", v.ToString(), "\n");
  return out;
}

TEST(Golden, EveryConfigGivesItsFindings) {
  int files = 0;
  int with_errors = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(BASALT_GOLDEN_DIR) / "configs")) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const std::string findings = FindingsOf(ReadFile(entry.path()));
    fs::path expected = entry.path();
    ExpectFile(expected.replace_extension(".errors"), findings);
    ++files;
    if (!findings.empty() && !absl::StartsWith(findings, "warning: ")) ++with_errors;
  }
  EXPECT_GE(files, 260);
  EXPECT_GE(with_errors, 180);
  EXPECT_GE(files - with_errors, 75);
}

TEST(Golden, EveryGoodConfigIsWrittenAndReadBack) {
  for (const auto& entry : fs::directory_iterator(fs::path(BASALT_GOLDEN_DIR) / "configs")) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const auto config = validate::Load(ReadFile(entry.path()), "", validate::Stage::kSource);
    if (!config.ok()) continue;
    const std::string text = yaml::Emit(*config);
    const auto again = validate::Load(text, "", validate::Stage::kSource);
    ASSERT_TRUE(again.ok()) << text << again.status();
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*config, *again)) << text;
    EXPECT_EQ(yaml::Emit(*again), text);
  }
}

// nodectl and nodes call the one function, on the bytes that were signed. What differs between them
// (the name of the file, whether warnings are wanted, what was read before) may not change a
// verdict.
TEST(Golden, P4_ClientAndNodeJudgeTheWholeCorpusAlike) {
  int files = 0;
  for (const char* dir : {"configs", "../fuzz/corpus/yaml"}) {
    for (const auto& entry : fs::directory_iterator(fs::path(BASALT_GOLDEN_DIR) / dir)) {
      if (entry.path().extension() == ".errors") continue;
      SCOPED_TRACE(entry.path().filename().string());
      const std::string text = ReadFile(entry.path());
      std::vector<api::Violation> warnings;
      const auto client = validate::Load(text, "n1.yaml", validate::Stage::kComplete, &warnings);
      const auto node = validate::Load(text, "", validate::Stage::kComplete);
      ASSERT_EQ(client.ok(), node.ok());
      std::vector<api::Violation> seen = api::Violations(client.status());
      for (api::Violation& v : seen) v.file.clear();
      EXPECT_EQ(seen, api::Violations(node.status()));
      if (client.ok()) {
        EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*client, *node));
      }
      ++files;
    }
  }
  EXPECT_GE(files, 60);
}

void ListDefaults(const schema::MessageInfo& info, std::set<std::string>& seen,
                  std::map<std::string, std::string>& out) {
  if (!seen.insert(info.descriptor->full_name()).second) return;
  std::unique_ptr<google::protobuf::Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(info.descriptor)->New());
  for (const auto& field : info.fields) {
    if (field.message != nullptr) ListDefaults(*field.message, seen, out);
    if (field.rules.default_().empty()) continue;
    const auto result = yaml::DecodeValue(field.rules.default_(), field.name, field, *message);
    EXPECT_TRUE(result.ok()) << field.field->full_name() << ": " << result.errors[0].ToString();
    out[field.field->full_name()] = yaml::FlowText(*message, field);
  }
}

// A default that changed would change what a signed document means: it may not within an
// apiVersion. Lines may be added here, never edited.
TEST(Golden, ShippedDefaultsNeverChange) {
  std::set<std::string> seen;
  std::map<std::string, std::string> defaults;
  ListDefaults(schema::Describe(v1::MachineConfig::descriptor()), seen, defaults);
  ListDefaults(schema::Describe(v1::TrustPolicy::descriptor()), seen, defaults);
  ListDefaults(schema::Describe(v1::Action::descriptor()), seen, defaults);
  std::string actual;
  for (const auto& [name, value] : defaults) absl::StrAppend(&actual, name, " = ", value, "\n");
  ExpectFile(fs::path(BASALT_GOLDEN_DIR) / "defaults.txt", actual);
}

}  // namespace
}  // namespace basalt
