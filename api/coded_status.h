// absl::Status with a stable code, a hint and field violations.
//
// Every error that a user may see carries a *reason*: a short lower-kebab word that never changes
// ("below-floor", "bad-signature"), so that scripts and translations hold on to it while the text
// may improve. It travels inside the status as a google.rpc.ErrorInfo payload and the violations as
// a google.rpc.BadRequest payload; api/grpc_status.h carries both over gRPC unchanged. Pure
// functions on values: thread-compatible like absl::Status itself.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace basalt::api {

// One thing wrong with a document. `line` and `column` count from 1; 0 means unknown.
struct Violation {
  std::string reason;  // stable code: "unknown-field", "out-of-range", ...
  std::string file;    // as the user named it; empty on the node
  int line = 0;
  int column = 0;
  std::string path;     // "k3s.cluster.server", "api.clientCas[admin].roles"
  std::string message;  // what is wrong; what is allowed
  std::string hint;     // the remedy or the nearest known name; may be empty

  // "n1.yaml:12:3: k3s.tokn: unknown field; did you mean `token`?"
  std::string ToString() const;
  bool operator==(const Violation&) const = default;
};

// A status of `code` with a reason and an optional hint ("run nodectl trust show").
absl::Status Coded(absl::StatusCode code, absl::string_view reason, absl::string_view message,
                   absl::string_view hint = "");

// InvalidArgument with all violations; its message lists them one a line. `violations` is not
// empty.
absl::Status Invalid(const std::vector<Violation>& violations);

// "" when the status carries none.
std::string Reason(const absl::Status& status);
std::string Hint(const absl::Status& status);
std::vector<Violation> Violations(const absl::Status& status);

// The same status with "context: " before its message; payloads are kept.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

// What the message says to people, once more for programs, by name: "file", "line", "column" and
// "path" as in a violation; of a refusal by grants "signedBy" and "missing", a thing a line. It
// travels with the reason. The first value of a name stays: whoever was nearest knew best.
absl::Status WithDetail(const absl::Status& status, absl::string_view name,
                        absl::string_view value);
std::string Detail(const absl::Status& status, absl::string_view name);

// Annotated with the file that it is about, which becomes a detail and the file of violations that
// name none.
absl::Status InFile(const absl::Status& status, absl::string_view file);

}  // namespace basalt::api
