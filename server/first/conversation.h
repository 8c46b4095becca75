// What is asked of a metadata service, one question after another, and what its answers mean. Pure:
// no clock, no network. Values.
//
//   AWS         PUT /latest/api/token (IMDSv2), then GET /latest/user-data with the token; where
//               there are no tokens, without one (IMDSv1)
//   GCP         GET .../instance/attributes/user-data, "Metadata-Flavor: Google"
//   Azure       GET .../compute/userData?api-version=...&format=text, "Metadata: true"; base64
//   OpenStack   GET /openstack/latest/user_data, else /latest/user-data as AWS has it
//   Hetzner     GET /hetzner/v1/userdata
//   a URL       GET
//
// None of them but the URL may send a node elsewhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/fetch/fetch_protocol.h"
#include "server/first/sources.h"

namespace basalt::first {

inline constexpr char kLinkLocal[] = "http://169.254.169.254";
// The largest document, with its signatures, in base64 twice.
inline constexpr size_t kMostBytes = 4 << 20;

struct Question {
  std::string url;
  fetch::Asking asking;
  bool operator==(const Question&) const = default;
};

struct Answer {
  int status = 0;  // of HTTP; 0: nobody answered, or not to the end
  std::string body;
  std::string why;  // when there is no good one
};

class Conversation {
 public:
  // `base`: kLinkLocal but in tests.
  explicit Conversation(Source source, std::string base = kLinkLocal);

  // The question that is to be asked now; none when the conversation is over.
  const std::optional<Question>& question() const { return question_; }
  void Take(const Answer& answer);
  // When it is over. NotFound: it has none. Unavailable "metadata-unreachable". PermissionDenied
  // "metadata-refused".
  const absl::StatusOr<std::string>& result() const { return result_; }

 private:
  void End(absl::StatusOr<std::string> result);
  Question UserData(std::vector<std::string> headers) const;

  const Source source_;
  const std::string base_;
  int step_ = 0;
  std::optional<Question> question_;
  absl::StatusOr<std::string> result_ = absl::UnavailableError("not over");
};

}  // namespace basalt::first
