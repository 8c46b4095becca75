// Errors as users see them: a code, the node, the field, a hint; on standard error as text, or on
// standard output as {"errors": [...]} with -o json (client/README.md has the shape). Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "api/coded_status.h"
#include "client/output/io.h"

namespace basalt::client {

// The same status, naming the node that it is about. The first name stays.
absl::Status AtNode(const absl::Status& status, absl::string_view node);
std::string NodeOf(const absl::Status& status);

// A reason is never empty: without one it is the lower-kebab name of the status code.
std::string CodeOf(const absl::Status& status);

void PrintError(Io& io, const absl::Status& status);
// `severity` is "error" or "warning": one line each on standard error.
void PrintViolations(Io& io, absl::string_view severity,
                     const std::vector<api::Violation>& violations);
// The file that the shell made for `> n1.yaml`: from here on it holds secrets, so it becomes 0600.
// A file that held something before is left as it is.
void MakeOutputPrivate(Io& io);

void PrintWarning(Io& io, absl::string_view text);

// {"errors":[...]} as one line.
std::string ErrorsJson(const absl::Status& status);

}  // namespace basalt::client
