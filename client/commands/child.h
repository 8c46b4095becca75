// One short-lived program beside us: `noded-fetch` for downloads, a K3s binary asked for its
// version. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace basalt::client {

// Standard output of `argv` (no shell; argv[0] is a path); its standard error is kept for the error
// text. `target`, when it is not negative, becomes its descriptor 3. Killed after `timeout`.
// Reasons: child-failed, child-timeout, no-such-file.
absl::StatusOr<std::string> RunChild(const std::vector<std::string>& argv, absl::Duration timeout,
                                     size_t max_output, int target = -1);

// The program `name` in the directory of this one, else from PATH.
absl::StatusOr<std::string> FindSibling(const std::string& name);

}  // namespace basalt::client
