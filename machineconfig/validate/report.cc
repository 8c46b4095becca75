#include "machineconfig/validate/report.h"

#include <algorithm>
#include <tuple>

#include "machineconfig/schema/fields.h"

namespace basalt::validate {
namespace {

constexpr size_t kMaxFindings = 100;

void Sort(std::vector<api::Violation>& list) {
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
    return std::tie(a.line, a.column, a.path) < std::tie(b.line, b.column, b.path);
  });
  if (list.size() <= kMaxFindings) return;
  const std::string file = list[0].file;
  list.resize(kMaxFindings);
  list.push_back({.reason = "too-many-errors",
                  .file = file,
                  .message = "more than 100 findings; stopped here"});
}

}  // namespace

std::string Parent(absl::string_view path) {
  if (!path.empty() && path.back() == ']') {
    const size_t open = path.rfind('[');
    return open == absl::string_view::npos ? "" : std::string(path.substr(0, open));
  }
  const size_t dot = path.rfind('.');
  return dot == absl::string_view::npos ? "" : std::string(path.substr(0, dot));
}

std::vector<std::string> Elements(absl::string_view path, const google::protobuf::Message& owner,
                                  absl::string_view field) {
  const schema::FieldInfo& list = *schema::Describe(owner.GetDescriptor()).Find(field);
  std::vector<std::string> out;
  for (int i = 0; i < owner.GetReflection()->FieldSize(owner, list.field); ++i) {
    out.push_back(schema::ElementPath(schema::Child(path, field), owner, list, i));
  }
  return out;
}

api::Violation Report::Make(absl::string_view path, absl::string_view reason,
                            absl::string_view message, absl::string_view hint) const {
  api::Violation out{.reason = std::string(reason),
                     .file = std::string(file_),
                     .path = std::string(path),
                     .message = std::string(message),
                     .hint = std::string(hint)};
  for (std::string at = out.path; !at.empty(); at = Parent(at)) {
    auto it = source_.find(at);
    if (it == source_.end()) continue;
    out.line = it->second.line;
    out.column = it->second.column;
    return out;
  }
  if (!source_.empty()) out.line = out.column = 1;
  return out;
}

void Report::Error(absl::string_view path, absl::string_view reason, absl::string_view message,
                   absl::string_view hint) {
  findings_.errors.push_back(Make(path, reason, message, hint));
}

void Report::Warning(absl::string_view path, absl::string_view reason, absl::string_view message,
                     absl::string_view hint) {
  findings_.warnings.push_back(Make(path, reason, message, hint));
}

Findings Report::Take() {
  Sort(findings_.errors);
  Sort(findings_.warnings);
  return std::move(findings_);
}

}  // namespace basalt::validate
