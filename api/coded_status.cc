#include "api/coded_status.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/rpc/error_details.pb.h"

namespace basalt::api {
namespace {

constexpr absl::string_view kErrorInfoUrl = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr absl::string_view kBadRequestUrl = "type.googleapis.com/google.rpc.BadRequest";

google::rpc::ErrorInfo GetErrorInfo(const absl::Status& status) {
  google::rpc::ErrorInfo info;
  if (auto payload = status.GetPayload(kErrorInfoUrl)) {
    info.ParseFromString(std::string(*payload));
  }
  return info;
}

// BadRequest.FieldViolation has two strings only. The description is
// "REASON\x1fFILE\x1fLINE\x1fCOLUMN\x1fMESSAGE\x1fHINT": machine-read here, and still legible
// elsewhere.
constexpr char kSeparator = '\x1f';

std::string Pack(const Violation& v) {
  return absl::StrJoin(
      {v.reason, v.file, absl::StrCat(v.line), absl::StrCat(v.column), v.message, v.hint},
      std::string(1, kSeparator));
}

Violation Unpack(const google::rpc::BadRequest::FieldViolation& in) {
  Violation v{.path = in.field(), .message = in.description()};
  std::vector<std::string> parts = absl::StrSplit(in.description(), kSeparator);
  if (parts.size() != 6) return v;
  v.reason = parts[0];
  v.file = parts[1];
  if (!absl::SimpleAtoi(parts[2], &v.line)) v.line = 0;
  if (!absl::SimpleAtoi(parts[3], &v.column)) v.column = 0;
  v.message = parts[4];
  v.hint = parts[5];
  return v;
}

google::rpc::BadRequest PackAll(const std::vector<Violation>& violations) {
  google::rpc::BadRequest out;
  for (const Violation& v : violations) {
    auto* one = out.add_field_violations();
    one->set_field(v.path);
    one->set_description(Pack(v));
  }
  return out;
}

}  // namespace

std::string Violation::ToString() const {
  std::string out;
  if (!file.empty()) absl::StrAppend(&out, file, ":");
  if (line > 0) absl::StrAppend(&out, line, ":", column, ":");
  if (!out.empty()) out += ' ';
  if (!path.empty()) absl::StrAppend(&out, path, ": ");
  absl::StrAppend(&out, message);
  if (!hint.empty()) absl::StrAppend(&out, "; ", hint);
  return out;
}

absl::Status Coded(absl::StatusCode code, absl::string_view reason, absl::string_view message,
                   absl::string_view hint) {
  absl::Status status(code, message);
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain("basalt");
  if (!hint.empty()) (*info.mutable_metadata())["hint"] = std::string(hint);
  status.SetPayload(kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

absl::Status Invalid(const std::vector<Violation>& violations) {
  std::vector<std::string> lines;
  for (const Violation& v : violations) lines.push_back(v.ToString());
  absl::Status status =
      Coded(absl::StatusCode::kInvalidArgument, "invalid-config", absl::StrJoin(lines, "\n"));
  status.SetPayload(kBadRequestUrl, absl::Cord(PackAll(violations).SerializeAsString()));
  return status;
}

std::string Reason(const absl::Status& status) { return GetErrorInfo(status).reason(); }

std::string Hint(const absl::Status& status) {
  google::rpc::ErrorInfo info = GetErrorInfo(status);
  auto it = info.metadata().find("hint");
  return it == info.metadata().end() ? "" : it->second;
}

std::vector<Violation> Violations(const absl::Status& status) {
  std::vector<Violation> out;
  google::rpc::BadRequest bad;
  if (auto payload = status.GetPayload(kBadRequestUrl)) bad.ParseFromString(std::string(*payload));
  for (const auto& v : bad.field_violations()) out.push_back(Unpack(v));
  return out;
}

absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  absl::Status out(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { out.SetPayload(url, payload); });
  return out;
}

absl::Status WithDetail(const absl::Status& status, absl::string_view name,
                        absl::string_view value) {
  if (status.ok() || value.empty()) return status;
  google::rpc::ErrorInfo info = GetErrorInfo(status);
  // Without a reason the code is the reason (client/output/errors.h): an empty one says so still.
  info.set_domain("basalt");
  info.mutable_metadata()->insert({std::string(name), std::string(value)});
  absl::Status out = status;
  out.SetPayload(kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  return out;
}

std::string Detail(const absl::Status& status, absl::string_view name) {
  google::rpc::ErrorInfo info = GetErrorInfo(status);
  auto it = info.metadata().find(std::string(name));
  return it == info.metadata().end() ? "" : it->second;
}

absl::Status InFile(const absl::Status& status, absl::string_view file) {
  if (status.ok()) return status;
  absl::Status out = WithDetail(Annotate(status, file), "file", file);
  std::vector<Violation> violations = Violations(status);
  if (violations.empty()) return out;
  for (Violation& v : violations) {
    if (v.file.empty()) v.file = std::string(file);
  }
  out.SetPayload(kBadRequestUrl, absl::Cord(PackAll(violations).SerializeAsString()));
  return out;
}

}  // namespace basalt::api
