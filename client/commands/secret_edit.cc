#include "client/commands/secret_edit.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "basalt/v1/machine_config.pb.h"
#include "client/commands/inputs.h"
#include "client/commands/secret_check.h"
#include "machineconfig/merge/rewrite.h"
#include "machineconfig/merge/set_path.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::client {
namespace {

using Lines = std::vector<std::string>;

// The last name of a path; a key in brackets may hold dots.
size_t LastDot(absl::string_view path) {
  const size_t dot = path.rfind('.');
  return dot != path.npos && path.find(']', dot) == path.npos ? dot : path.npos;
}

void SecretPatterns(const schema::MessageInfo& info, const std::string& path, Lines& out) {
  for (const schema::FieldInfo& field : info.fields) {
    const std::string child =
        absl::StrCat(schema::Child(path, field.name), field.repeated ? "[]" : "");
    if (field.kind == schema::FieldKind::kSecret) out.push_back(child);
    if (field.kind == schema::FieldKind::kMessage) SecretPatterns(*field.message, child, out);
  }
}

// "a[key].b" as "a[].b".
std::string PatternOf(absl::string_view path) {
  std::string out;
  bool inside = false, escaped = false;
  for (char c : path) {
    if (inside && !escaped && c == '\\') {
      escaped = true;
      continue;
    }
    if (inside && !escaped && c == ']') inside = false;
    if (!inside) out += c;
    if (!inside && c == '[') inside = true;
    escaped = false;
  }
  return out;
}

std::string Indented(absl::string_view text) {
  std::string out;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&out, "\n  ", line);
  }
  return out;
}

}  // namespace

absl::Status CheckSecretPath(absl::string_view path) {
  static const Lines* const patterns = [] {
    auto* made = new Lines();
    SecretPatterns(schema::Describe(v1::MachineConfig::descriptor()), "", *made);
    return made;
  }();
  const std::string pattern = PatternOf(path);
  std::vector<absl::string_view> known;
  for (const std::string& one : *patterns) {
    if (one == pattern) return absl::OkStatus();
    known.push_back(one);
  }
  const std::string near = schema::Nearest(pattern, known);
  return api::Coded(absl::StatusCode::kInvalidArgument, "not-a-secret",
                    absl::StrCat("`", path, "` is no secret of a machine config"),
                    near.empty() ? absl::StrCat("secrets: ", absl::StrJoin(known, ", "))
                                 : absl::StrCat("did you mean `", near, "`?"));
}

absl::StatusOr<std::string> EditSecret(absl::string_view text, const std::string& file,
                                       const std::string& path, absl::string_view armored) {
  if (absl::Status s = CheckSecretPath(path); !s.ok()) return s;
  v1::MachineConfig before;
  yaml::DecodeResult read = yaml::Decode(text, file, before);
  if (!read.ok()) return api::Invalid(read.errors);
  v1::MachineConfig wanted = before;
  if (absl::Status s = merge::SetPath(absl::StrCat(path, "=x"), wanted); !s.ok()) {
    return api::Coded(s.code(), api::Reason(s), absl::StripPrefix(s.message(), "--set "),
                      api::Hint(s));
  }
  schema::VisitSecrets(wanted, [&](const std::string& at, v1::Secret& secret) {
    if (at == path) secret.set_sealed(std::string(armored));
  });
  const size_t dot = LastDot(path);
  const std::string parent = path.substr(0, dot == absl::string_view::npos ? 0 : dot);
  // A section that is not there may be a misspelt name of an element: it is not made.
  absl::StatusOr<std::string> out =
      parent.empty() || read.source.count(parent) > 0
          ? merge::Rewrite(text, file, wanted)
          : api::Coded(absl::StatusCode::kFailedPrecondition, "cannot-edit", "");
  if (out.ok() || api::Reason(out.status()) != "cannot-edit") return out;
  return api::WithDetail(
      api::WithDetail(
          api::Coded(
              absl::StatusCode::kFailedPrecondition, "cannot-edit",
              absl::StrCat(file, " is written in a way that cannot be edited in place, or has no `",
                           parent, "`; nothing was changed"),
              absl::StrCat("write it into the file yourself, or add what is missing and try again:",
                           Indented(SecretAlone(path, armored)))),
          "file", file),
      "path", path);
}

}  // namespace basalt::client
