#include "client/commands/inputs.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/context/files.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/validate/validate.h"

namespace basalt::client {
namespace {

bool LooksLikeJson(absl::string_view text) {
  while (!text.empty() && absl::ascii_isspace(text.front())) text.remove_prefix(1);
  return !text.empty() && text.front() == '{';
}

}  // namespace

absl::StatusOr<std::vector<Input>> ReadInputs(const std::vector<std::string>& names) {
  std::vector<Input> out;
  for (const std::string& name : names) {
    std::vector<std::string> files = {name};
    if (name != "-" && IsDirectory(name)) {
      absl::StatusOr<std::vector<std::string>> all = ListFiles(name);
      if (!all.ok()) return all.status();
      files.clear();
      for (const std::string& file : *all) {
        if (absl::EndsWith(file, ".yaml") || absl::EndsWith(file, ".yml") ||
            absl::EndsWith(file, ".json")) {
          files.push_back(JoinPath(name, file));
        }
      }
    }
    for (const std::string& file : files) {
      absl::StatusOr<std::string> text = ReadFile(file);
      if (!text.ok()) return text.status();
      bool json = LooksLikeJson(*text);
      out.push_back({file == "-" ? "(standard input)" : file, *std::move(text), json});
    }
  }
  if (out.empty()) {
    return api::Coded(
        absl::StatusCode::kInvalidArgument, "no-input", "no files to read",
        "-f takes files, directories with *.yaml or *.json, and - for standard input");
  }
  return out;
}

absl::StatusOr<Document> ReadDocument(const Input& input) {
  Document out;
  out.file = input.file;
  absl::string_view text = input.text;
  if (input.is_envelope) {
    absl::StatusOr<v1::SignedDocument> envelope = sign::FromDsseJson(input.text);
    if (!envelope.ok()) return api::InFile(envelope.status(), input.file);
    if (envelope->type() != v1::DOCUMENT_TYPE_MACHINE_CONFIG) {
      return api::WithDetail(
          api::Coded(absl::StatusCode::kInvalidArgument, "wrong-type",
                     absl::StrCat(input.file, " holds a ", sign::TypeWord(envelope->type()),
                                  ", not a machineconfig")),
          "file", input.file);
    }
    out.is_signed = true;
    out.envelope = *std::move(envelope);
    text = out.envelope.payload();
  }
  absl::StatusOr<v1::MachineConfig> config = validate::Load(
      text, input.file, out.is_signed ? validate::Stage::kComplete : validate::Stage::kSource,
      &out.warnings);
  if (!config.ok()) {
    std::vector<api::Violation> wrong = api::Violations(config.status());
    for (api::Violation& violation : wrong) {
      // What `gen config` cannot know: everybody's first mistake.
      if (violation.path == "k3s.artifacts" && violation.reason == "required") {
        violation.hint = absl::StrCat("nodectl k3s pin -f ", input.file,
                                      " writes it: --version V of a release, or --file PATH");
      }
    }
    return wrong.empty() ? config.status() : api::Invalid(wrong);
  }
  out.config = *std::move(config);
  return out;
}

}  // namespace basalt::client
