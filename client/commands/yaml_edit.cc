#include "client/commands/yaml_edit.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "client/context/flat_yaml.h"
#include "google/protobuf/util/message_differencer.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::client {
namespace {

using Lines = std::vector<std::string>;

size_t IndentOf(const std::string& line) {
  size_t at = line.find_first_not_of(' ');
  return at == std::string::npos ? line.size() : at;
}

bool IsBlank(const std::string& line) {
  size_t at = IndentOf(line);
  return at == line.size() || line[at] == '#';
}

// One past the last line of the block whose key stands at `start`: what is indented deeper. Blank
// lines and comments between it and the next key belong to that key.
size_t BlockEnd(const Lines& lines, size_t start) {
  size_t end = start + 1;
  for (size_t i = start + 1; i < lines.size(); ++i) {
    if (IsBlank(lines[i])) continue;
    if (IndentOf(lines[i]) <= IndentOf(lines[start])) break;
    end = i + 1;
  }
  return end;
}

Lines ArtifactLines(const v1::K3sArtifacts& artifacts, size_t indent) {
  const std::string pad(indent, ' ');
  Lines out = {pad + "artifacts:"};
  const std::pair<const char*, const v1::Artifact*> all[] = {
      {"amd64", artifacts.has_amd64() ? &artifacts.amd64() : nullptr},
      {"arm64", artifacts.has_arm64() ? &artifacts.arm64() : nullptr},
      {"arm", artifacts.has_arm() ? &artifacts.arm() : nullptr}};
  for (const auto& [name, artifact] : all) {
    if (artifact == nullptr) continue;
    out.push_back(absl::StrCat(pad, "  ", name, ":"));
    out.push_back(absl::StrCat(pad, "    urls:"));
    for (const std::string& url : artifact->urls()) {
      out.push_back(absl::StrCat(pad, "      - ", QuoteYaml(url)));
    }
    out.push_back(absl::StrCat(pad, "    sha256: \"", artifact->sha256(), "\""));
    if (artifact->has_size()) {
      out.push_back(absl::StrCat(pad, "    size: ", artifact->size()));
    }
  }
  return out;
}

// The commented example that `gen config` writes gives way to the real block.
bool IsExample(const std::string& line) {
  absl::string_view text = line;
  text.remove_prefix(IndentOf(line));
  return absl::StartsWith(text, "# The K3s binary for each architecture") ||
         absl::StartsWith(text, "#   nodectl k3s pin") || absl::StartsWith(text, "# artifacts:") ||
         absl::StartsWith(text, "#   amd64:") || absl::StartsWith(text, "#     urls: [") ||
         absl::StartsWith(text, "#     sha256: (64");
}

absl::Status CannotEdit(const std::string& file, const v1::K3s& pin) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, "cannot-edit",
                    absl::StrCat(file,
                                 " is written in a way that cannot be edited in place; nothing "
                                 "was changed"),
                    absl::StrCat("paste this below `k3s:` yourself:\n  version: ", pin.version(),
                                 "\n", absl::StrJoin(ArtifactLines(pin.artifacts(), 2), "\n")));
}

}  // namespace

absl::StatusOr<std::string> EditK3sPin(absl::string_view text, const std::string& file,
                                       const v1::K3s& pin) {
  v1::MachineConfig before;
  yaml::DecodeResult read = yaml::Decode(text, file, before);
  if (!read.ok()) return api::Invalid(read.errors);
  Lines lines = absl::StrSplit(text, '\n');
  auto line_of = [&](const std::string& path) -> int {
    auto it = read.source.find(path);
    return it == read.source.end() ? -1 : it->second.line - 1;
  };
  const int k3s = line_of("k3s");
  if (k3s < 0) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "no-k3s-section",
                      absl::StrCat(file, " has no k3s section"), "add `k3s: {role: server}` first");
  }
  const int version = line_of("k3s.version");
  const int artifacts = line_of("k3s.artifacts");
  size_t indent = IndentOf(lines[k3s]) + 2;
  for (size_t i = static_cast<size_t>(k3s) + 1; i < lines.size(); ++i) {
    if (IsBlank(lines[i])) continue;
    indent = IndentOf(lines[i]);
    break;
  }
  if (indent <= IndentOf(lines[k3s]) || (version >= 0 && version == k3s)) {
    return CannotEdit(file, pin);
  }
  const std::string pad(indent, ' ');
  // From the bottom up, so that line numbers stay right.
  size_t insert_at = 0;
  if (artifacts >= 0) {
    size_t end = BlockEnd(lines, static_cast<size_t>(artifacts));
    lines.erase(lines.begin() + artifacts, lines.begin() + end);
    insert_at = static_cast<size_t>(artifacts);
  }
  const std::string version_line = absl::StrCat(pad, "version: ", pin.version());
  if (version >= 0) {
    size_t at = static_cast<size_t>(version);
    if (artifacts >= 0 && version > artifacts) return CannotEdit(file, pin);
    size_t comment = lines[at].find(" #");
    lines[at] =
        comment == std::string::npos ? version_line : version_line + lines[at].substr(comment);
    if (artifacts < 0) insert_at = at + 1;
  } else {
    lines.insert(lines.begin() + k3s + 1, version_line);
    insert_at = artifacts >= 0 ? insert_at + 1 : static_cast<size_t>(k3s) + 2;
  }
  Lines block = ArtifactLines(pin.artifacts(), indent);
  lines.insert(lines.begin() + insert_at, block.begin(), block.end());
  std::erase_if(lines, IsExample);
  std::string out = absl::StrJoin(lines, "\n");

  v1::MachineConfig after, wanted = before;
  wanted.mutable_k3s()->set_version(pin.version());
  *wanted.mutable_k3s()->mutable_artifacts() = pin.artifacts();
  if (!yaml::Decode(out, file, after).ok() ||
      !google::protobuf::util::MessageDifferencer::Equals(after, wanted)) {
    return CannotEdit(file, pin);
  }
  return out;
}

}  // namespace basalt::client
