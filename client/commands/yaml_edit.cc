#include "client/commands/yaml_edit.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "machineconfig/merge/rewrite.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::client {
namespace {

// The commented example that `gen config` writes gives way to the real block.
bool IsExample(const std::string& line) {
  absl::string_view text = line;
  text = absl::StripLeadingAsciiWhitespace(text);
  return absl::StartsWith(text, "# The K3s binary for each architecture") ||
         absl::StartsWith(text, "#   nodectl k3s pin") || absl::StartsWith(text, "# artifacts:") ||
         absl::StartsWith(text, "#   amd64:") || absl::StartsWith(text, "#     urls: [") ||
         absl::StartsWith(text, "#     sha256: (64");
}

}  // namespace

absl::StatusOr<std::string> EditK3sPin(absl::string_view text, const std::string& file,
                                       const v1::K3s& pin) {
  v1::MachineConfig config;
  const yaml::DecodeResult read = yaml::Decode(text, file, config);
  if (!read.ok()) return api::Invalid(read.errors);
  if (!config.has_k3s()) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kFailedPrecondition, "no-k3s-section",
                   absl::StrCat(file, " has no k3s section"), "add `k3s: {role: server}` first"),
        "file", file);
  }
  config.mutable_k3s()->set_version(pin.version());
  *config.mutable_k3s()->mutable_artifacts() = pin.artifacts();
  const absl::StatusOr<std::string> out = merge::Rewrite(text, file, config);
  if (!out.ok()) return out;
  std::vector<std::string> lines = absl::StrSplit(*out, '\n');
  std::erase_if(lines, IsExample);
  return absl::StrJoin(lines, "\n");
}

}  // namespace basalt::client
