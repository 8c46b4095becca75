// nodectl validate: everything that can be said about a file without a node.
#include "machineconfig/validate/validate.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/commands/commands.h"
#include "client/commands/config_schema.h"
#include "client/commands/inputs.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/yaml/decode.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

// The kind decides by what the text is read; an unknown kind is reported as a bad machine config.
absl::Status ValidateOne(const Input& input, const ConfigSchema& schema,
                         std::vector<api::Violation>& warnings) {
  if (!input.is_envelope) {
    const std::string kind = yaml::PeekHeader(input.text).kind;
    if (kind == "TrustPolicy") return validate::LoadTrustPolicy(input.text, input.file).status();
    if (kind == "Action") return validate::LoadAction(input.text, input.file).status();
  }
  if (!schema.own() && !input.is_envelope) {
    ConfigSchema::Config config = schema.Load(input.text, input.file);
    warnings = std::move(config.warnings);
    return config.errors.empty() ? absl::OkStatus() : api::Invalid(config.errors);
  }
  absl::StatusOr<Document> document = ReadDocument(input);
  if (document.ok()) warnings = document->warnings;
  return document.status();
}

}  // namespace

absl::StatusOr<int> RunValidate(Session& session, const ValidateOptions& options) {
  Io& io = session.io();
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs(options.files);
  if (!inputs.ok()) return inputs.status();
  absl::StatusOr<ConfigSchema> schema = ConfigSchema::Of(session, options.node);
  if (!schema.ok()) return schema.status();
  std::vector<api::Violation> errors;
  nlohmann::ordered_json valid = nlohmann::ordered_json::array();
  for (const Input& input : *inputs) {
    std::vector<api::Violation> warnings;
    absl::Status status = ValidateOne(input, *schema, warnings);
    PrintViolations(io, "warning", warnings);
    if (status.ok()) {
      valid.push_back(input.file);
      if (io.format == Format::kName) io.out << Escape(input.file) << "\n";
      if (io.format == Format::kTable || io.format == Format::kWide) {
        io.out << Escape(input.file) << ": valid\n";
      }
      continue;
    }
    std::vector<api::Violation> found = api::Violations(status);
    if (found.empty()) {
      found.push_back({.reason = CodeOf(status),
                       .file = input.file,
                       .message = std::string(
                           absl::StripPrefix(status.message(), absl::StrCat(input.file, ": "))),
                       .hint = api::Hint(status)});
    }
    errors.insert(errors.end(), found.begin(), found.end());
  }
  if (!errors.empty()) return api::Invalid(errors);
  const nlohmann::ordered_json out{{"errors", nlohmann::ordered_json::array()}, {"valid", valid}};
  if (io.json())
    io.out << out.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) << "\n";
  if (io.format == Format::kYaml)
    io.out << JsonToYaml(out.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace));
  return 0;
}

}  // namespace basalt::client
