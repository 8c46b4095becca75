// One short-lived program beside us: `noded-fetch` for downloads, a K3s binary asked for its
// version, the owner's own program that signs. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace basalt::client {

// Standard output of `argv` (no shell; argv[0] is a path); its standard error is kept for the error
// text. `target`, when it is not negative, becomes its descriptor 3. Killed after `timeout`.
// Reasons: child-failed, child-timeout, no-such-file.
absl::StatusOr<std::string> RunChild(const std::vector<std::string>& argv, absl::Duration timeout,
                                     size_t max_output, int target = -1);

// The same of `command` for the shell, with `input` as its standard input; what it says on standard
// error stays visible while it runs, so that it may ask to touch a key.
absl::StatusOr<std::string> RunFilter(const std::string& command, absl::string_view input,
                                      absl::Duration timeout, size_t max_output);

// The program `name` in the directory of this one, else from PATH.
absl::StatusOr<std::string> FindSibling(const std::string& name);

}  // namespace basalt::client
