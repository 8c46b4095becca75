#include "machineconfig/validate/validate.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/report.h"
#include "machineconfig/validate/rules.h"

namespace basalt::validate {
namespace {

// A document of another kind is told so, once, instead of listing all of its fields as unknown.
template <typename Message>
std::vector<api::Violation> CheckHeader(const Message& message, const yaml::SourceMap& source,
                                        absl::string_view file) {
  const schema::MessageInfo& info = schema::Describe(message.GetDescriptor());
  Report report(source, file);
  const std::string& kind = info.Find("kind")->rules.one_of(0);
  const std::string& version = info.Find("apiVersion")->rules.one_of(0);
  if (message.has_kind() && message.kind() != kind) {
    report.Error("kind", "wrong-kind",
                 absl::StrCat("expected a document of kind ", kind, ", this one is of kind `",
                              message.kind().substr(0, 64), "`"));
  } else if (message.has_api_version() && message.api_version() != version) {
    report.Error("apiVersion", "wrong-api-version",
                 absl::StrCat("this release reads ", version, ", the document is `",
                              message.api_version().substr(0, 64), "`"),
                 absl::StartsWith(message.api_version(), "basalt/")
                     ? "use a release that knows the version"
                     : absl::StrCat("write `apiVersion: ", version, "`"));
  }
  return report.Take().errors;
}

// Would fixing `known` probably fix `later`? A field that could not be read is not missing too, nor
// is one whose name was misspelt.
bool Explains(const api::Violation& known, const api::Violation& later) {
  if (known.path == later.path) return true;
  if (absl::StartsWith(later.path, known.path + ".") ||
      absl::StartsWith(later.path, known.path + "[")) {
    return true;
  }
  if (later.reason != "required") return false;
  if (absl::StartsWith(known.path, later.path + ".") ||
      absl::StartsWith(known.path, later.path + "[")) {
    return true;
  }
  if (known.reason != "unknown-field") return false;
  const size_t dot = later.path.rfind('.');
  const std::string name = dot == std::string::npos ? later.path : later.path.substr(dot + 1);
  return (Parent(known.path) == Parent(later.path) &&
          absl::StrContains(known.hint, absl::StrCat("`", name, "`"))) ||
         absl::StrContains(known.hint, absl::StrCat("`", Parent(later.path), "`"));
}

// "disable" of "k3s.config[disable]".
absl::string_view KeyInBrackets(absl::string_view path) {
  const size_t open = path.find('[');
  if (open == path.npos || path.back() != ']') return "";
  return path.substr(open + 1, path.size() - open - 2);
}

// What was found on reading and afterwards, as one verdict.
absl::Status Verdict(yaml::DecodeResult decoded, Findings findings,
                     std::vector<api::Violation>* warnings) {
  std::vector<api::Violation> errors = std::move(decoded.errors);
  const size_t read_errors = errors.size();
  for (api::Violation& later : findings.errors) {
    const bool explained =
        std::any_of(errors.begin(), errors.begin() + read_errors,
                    [&](const api::Violation& known) { return Explains(known, later); });
    if (!explained) errors.push_back(std::move(later));
  }
  if (warnings != nullptr) *warnings = std::move(findings.warnings);
  if (errors.empty()) return absl::OkStatus();
  std::stable_sort(errors.begin(), errors.end(), [](const auto& a, const auto& b) {
    // "too many errors" has no position and comes last.
    return std::make_tuple(a.reason == "too-many-errors", a.line, a.column) <
           std::make_tuple(b.reason == "too-many-errors", b.line, b.column);
  });
  return api::Invalid(errors);
}

template <typename Message, typename Check>
absl::StatusOr<Message> LoadAs(absl::string_view text, absl::string_view file,
                               std::vector<api::Violation>* warnings, Check check) {
  Message message;
  yaml::DecodeResult decoded = yaml::Decode(text, file, message);
  std::vector<api::Violation> header = CheckHeader(message, decoded.source, file);
  if (!header.empty()) return api::Invalid(header);
  // Without a tree (a syntax error, a limit) nothing more can be said.
  if (!decoded.ok() && decoded.source.empty()) return api::Invalid(decoded.errors);
  Findings findings = check(message, decoded.source);
  absl::Status verdict = Verdict(std::move(decoded), std::move(findings), warnings);
  if (!verdict.ok()) return verdict;
  return message;
}

// The rules between fields.
void CheckRules(const v1::MachineConfig& config, Stage stage, Report& report) {
  CheckMetadata(config, stage, report);
  CheckSystem(config, report);
  CheckNetwork(config, report);
  CheckStorage(config, report);
  CheckAudit(config, report);
  if (config.has_k3s()) CheckK3s(config, report);
}

}  // namespace

Findings Validate(const v1::MachineConfig& config, Stage stage, const yaml::SourceMap& source,
                  absl::string_view file) {
  Report report(source, file);
  CheckAnnotations(config, stage, report);
  CheckRules(config, stage, report);
  return report.Take();
}

Findings Validate(const v1::TrustPolicy& policy, const yaml::SourceMap& source,
                  absl::string_view file) {
  Report report(source, file);
  CheckAnnotations(policy, Stage::kComplete, report);
  CheckTrustPolicy(policy, report);
  return report.Take();
}

Findings Validate(const v1::Action& action, const yaml::SourceMap& source, absl::string_view file) {
  Report report(source, file);
  CheckAnnotations(action, Stage::kComplete, report);
  CheckAction(action, report);
  return report.Take();
}

absl::StatusOr<v1::MachineConfig> Load(absl::string_view text, absl::string_view file, Stage stage,
                                       std::vector<api::Violation>* warnings) {
  return LoadAs<v1::MachineConfig>(text, file, warnings,
                                   [&](const auto& config, const auto& source) {
                                     return Validate(config, stage, source, file);
                                   });
}

absl::Status LoadBy(const OtherSchema& schema, absl::string_view text, absl::string_view file,
                    Stage stage, google::protobuf::Message& message,
                    std::vector<api::Violation>* warnings) {
  yaml::DecodeResult decoded = yaml::Decode(text, file, message);
  // What this program knows of it; the rest stays among the unknown fields.
  v1::MachineConfig known;
  known.ParsePartialFromString(message.SerializePartialAsString());
  std::vector<api::Violation> header = CheckHeader(known, decoded.source, file);
  if (!header.empty()) return api::Invalid(header);
  if (!decoded.ok() && decoded.source.empty()) return api::Invalid(decoded.errors);
  Report report(decoded.source, file);
  CheckAnnotations(message, stage, report);
  CheckRules(known, stage, report);
  Findings findings = report.Take();
  std::erase_if(findings.errors, [&](const api::Violation& error) {
    return error.reason == "unknown-k3s-key" && schema.knows_k3s_key != nullptr &&
           schema.knows_k3s_key(KeyInBrackets(error.path));
  });
  return Verdict(std::move(decoded), std::move(findings), warnings);
}

absl::StatusOr<v1::TrustPolicy> LoadTrustPolicy(absl::string_view text, absl::string_view file) {
  return LoadAs<v1::TrustPolicy>(text, file, nullptr, [&](const auto& policy, const auto& source) {
    return Validate(policy, source, file);
  });
}

absl::StatusOr<v1::MachineConfig> LoadAccepted(absl::string_view text) {
  return LoadAs<v1::MachineConfig>(text, "", nullptr,
                                   [](const auto&, const auto&) { return Findings(); });
}

absl::StatusOr<v1::TrustPolicy> LoadAcceptedTrustPolicy(absl::string_view text) {
  return LoadAs<v1::TrustPolicy>(text, "", nullptr,
                                 [](const auto&, const auto&) { return Findings(); });
}

absl::StatusOr<v1::Action> LoadAction(absl::string_view text, absl::string_view file) {
  return LoadAs<v1::Action>(text, file, nullptr, [&](const auto& action, const auto& source) {
    return Validate(action, source, file);
  });
}

absl::StatusOr<v1::ConfigSet> LoadConfigSet(absl::string_view text, absl::string_view file) {
  return LoadAs<v1::ConfigSet>(text, file, nullptr, [&](const auto& set, const auto& source) {
    Report report(source, file);
    CheckAnnotations(set, Stage::kComplete, report);
    return report.Take();
  });
}

}  // namespace basalt::validate
