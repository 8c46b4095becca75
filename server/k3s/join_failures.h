// Why K3s does not get on, from its own log lines. K3s tries to join for ever and says so only
// there; its words are stable across releases where its exit codes are not. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace basalt::k3s {

struct LogFinding {
  std::string code;    // "join-token-rejected"
  std::string reason;  // CamelCase, of the condition
  std::string message;
  std::string hint;
  bool hopeless = false;  // no use in waiting
  bool operator==(const LogFinding&) const = default;
};

// What the newest telling line of `output` says; nothing when there is none. A refusal counts as
// hopeless when it was seen twice: a server that restarts may refuse once.
std::optional<LogFinding> FindFailure(absl::string_view output);

// The last `count` lines, each with the secrets replaced by "(redacted)".
std::vector<std::string> LastLines(absl::string_view output, size_t count,
                                   const std::vector<std::string>& secrets);
std::string Scrub(absl::string_view text, const std::vector<std::string>& secrets);

// The `msg` of the last fatal line; "" when there is none.
std::string FatalMessage(absl::string_view output);

}  // namespace basalt::k3s
