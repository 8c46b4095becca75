#include "api/grpc_status.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "google/rpc/status.pb.h"

namespace basalt::api {
namespace {

constexpr absl::string_view kTypePrefix = "type.googleapis.com/";
// Trailers are bounded to 8 KiB by common clients; a thousand violations must not cost the caller
// the code and the message as well.
constexpr size_t kMaxDetails = 6 << 10;
constexpr size_t kMaxMessage = 1 << 10;
constexpr int kMaxCode = static_cast<int>(grpc::StatusCode::UNAUTHENTICATED);

// Cut at a character, so that what is left is UTF-8 still.
std::string Shorten(absl::string_view text, size_t max) {
  if (text.size() <= max) return std::string(text);
  size_t end = max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return absl::StrCat(text.substr(0, end), " ...");
}

bool IsReasonChar(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; }

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  int code = static_cast<int>(status.code());
  if (code < 1 || code > kMaxCode) code = static_cast<int>(grpc::StatusCode::UNKNOWN);
  google::rpc::Status details;
  details.set_code(code);
  std::string message = Shorten(status.message(), kMaxMessage);
  details.set_message(message);
  size_t size = details.ByteSizeLong();
  // ErrorInfo first: when the rest does not fit, reason and hint still arrive.
  for (bool info : {true, false}) {
    status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
      if (!absl::StartsWith(url, kTypePrefix)) return;
      if (absl::EndsWith(url, "google.rpc.ErrorInfo") != info) return;
      size += url.size() + payload.size() + 8;
      if (size > kMaxDetails) return;
      auto* any = details.add_details();
      any->set_type_url(std::string(url));
      any->set_value(std::string(payload));
    });
  }
  return grpc::Status(static_cast<grpc::StatusCode>(code), message, details.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  int code = static_cast<int>(status.error_code());
  if (code < 1 || code > kMaxCode) code = static_cast<int>(absl::StatusCode::kUnknown);
  absl::Status out(static_cast<absl::StatusCode>(code), status.error_message());
  google::rpc::Status details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details())) {
    for (const auto& any : details.details()) {
      out.SetPayload(any.type_url(), absl::Cord(any.value()));
    }
    return out;
  }
  const std::string message = status.error_message();
  absl::string_view text = message;
  if (absl::StartsWith(text, "[")) {
    size_t end = 1;
    while (end < text.size() && IsReasonChar(text[end])) ++end;
    if (end > 1 && end + 1 < text.size() && text[end] == ']' && text[end + 1] == ' ') {
      return Coded(out.code(), text.substr(1, end - 1), text.substr(end + 2));
    }
  }
  return out;
}

std::string WithReasonPrefix(absl::string_view reason, absl::string_view message) {
  return absl::StrCat("[", reason, "] ", message);
}

}  // namespace basalt::api
