// Waiting on what really happens: a file that appears, a process that ends. Nothing here sleeps;
// the deadline is generous because machines that run tests are loaded. Thread-safe.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "server/host/fd.h"

namespace basalt::testing {

inline constexpr absl::Duration kPatience = absl::Seconds(60);

// The content of `path` as soon as `good` likes it, without the line break at its end; "" when the
// deadline comes first. Looks again at each change of the directory, which must exist or appear.
std::string AwaitFile(const std::string& path,
                      const std::function<bool(const std::string&)>& good = nullptr,
                      absl::Duration patience = kPatience);

// Until `holds`, asked again at each change below `dir` (and ten times a second, for what a
// directory does not show). False when the deadline comes first.
bool AwaitChange(const std::string& dir, const std::function<bool()>& holds,
                 absl::Duration patience = kPatience);

// Refers to the process that has this pid now; invalid when there is none.
host::UniqueFd PidFd(pid_t pid);
// True once the process has ended.
bool AwaitEnd(const host::UniqueFd& pidfd, absl::Duration patience = kPatience);
void Signal(const host::UniqueFd& pidfd, int signal);

std::string ReadAll(const std::string& path);  // "" when it cannot be read
void WriteAll(const std::string& path, const std::string& text);

}  // namespace basalt::testing
