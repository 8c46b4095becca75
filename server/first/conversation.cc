#include "server/first/conversation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"

namespace basalt::first {
namespace {

constexpr size_t kLongestToken = 1024;

// It goes into a header.
bool GoodToken(absl::string_view token) {
  return !token.empty() && token.size() <= kLongestToken &&
         std::all_of(token.begin(), token.end(), [](char c) { return absl::ascii_isgraph(c); });
}

absl::StatusOr<std::string> Meaning(const Answer& answer) {
  if (answer.status >= 200 && answer.status < 300 && answer.why.empty()) {
    if (absl::StripAsciiWhitespace(answer.body).empty()) return absl::NotFoundError("it is empty");
    return answer.body;
  }
  if (answer.status == 404 || answer.status == 410) return absl::NotFoundError("there is none");
  if (answer.status == 401 || answer.status == 403) {
    return api::Coded(absl::StatusCode::kPermissionDenied, "metadata-refused",
                      absl::StrCat("it refuses to answer (HTTP ", answer.status, ")"));
  }
  return api::Coded(
      absl::StatusCode::kUnavailable, "metadata-unreachable",
      answer.why.empty() ? absl::StrCat("it answers HTTP ", answer.status) : answer.why);
}

}  // namespace

Conversation::Conversation(Source source, std::string base)
    : source_(std::move(source)), base_(std::move(base)) {
  if (source_.kind == SourceKind::kAws) {
    question_ = Question{.url = absl::StrCat(base_, "/latest/api/token"),
                         .asking = {.method = "PUT",
                                    .headers = {"X-aws-ec2-metadata-token-ttl-seconds: 300"},
                                    .redirects = false}};
    return;
  }
  question_ = UserData({});
}

Question Conversation::UserData(std::vector<std::string> headers) const {
  std::string path;
  switch (source_.kind) {
    case SourceKind::kAws:
      path = "/latest/user-data";
      break;
    case SourceKind::kGcp:
      path = "/computeMetadata/v1/instance/attributes/user-data";
      headers.push_back("Metadata-Flavor: Google");
      break;
    case SourceKind::kAzure:
      path = "/metadata/instance/compute/userData?api-version=2021-01-01&format=text";
      headers.push_back("Metadata: true");
      break;
    case SourceKind::kOpenStack:
      path = step_ == 0 ? "/openstack/latest/user_data" : "/latest/user-data";
      break;
    case SourceKind::kHetzner:
      path = "/hetzner/v1/userdata";
      break;
    case SourceKind::kUrl:
      return {.url = source_.url};
    case SourceKind::kBootPartition:
    case SourceKind::kMedium:
      break;
  }
  return {.url = absl::StrCat(base_, path),
          .asking = {.headers = std::move(headers), .redirects = false}};
}

void Conversation::End(absl::StatusOr<std::string> result) {
  question_.reset();
  result_ = std::move(result);
}

void Conversation::Take(const Answer& answer) {
  const int step = step_++;
  if (source_.kind == SourceKind::kAws && step == 0) {
    const absl::string_view token = absl::StripAsciiWhitespace(answer.body);
    const bool has = answer.status == 200 && answer.why.empty();
    if (has && GoodToken(token)) {
      question_ = UserData({absl::StrCat("X-aws-ec2-metadata-token: ", token)});
    } else if (!has && answer.status >= 400 && answer.status < 500) {
      question_ = UserData({});  // a service that knows no tokens
    } else {
      End(Meaning({.status = 0,
                   .why = has                  ? "its token is no token"
                          : answer.why.empty() ? absl::StrCat("it answers HTTP ", answer.status)
                                               : answer.why}));
    }
    return;
  }
  absl::StatusOr<std::string> meaning = Meaning(answer);
  if (source_.kind == SourceKind::kOpenStack && step == 0 && absl::IsNotFound(meaning.status())) {
    question_ = UserData({});
    return;
  }
  End(std::move(meaning));
}

}  // namespace basalt::first
