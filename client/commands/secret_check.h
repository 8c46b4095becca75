// What validation would say of a secret, asked before it is sealed: afterwards nobody sees what is
// wrong with it until a node opens it. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "api/coded_status.h"
#include "basalt/v1/machine_config.pb.h"

namespace basalt::client {

struct SecretFindings {
  std::vector<api::Violation> errors;
  std::vector<api::Violation> warnings;
};

// `value` for the secret at `path` of `config`, which need not have it yet. Only what the value
// itself is to blame for: what is said of a sealed one as well is left to `validate`. Findings name
// `file` and the path, and never hold the value.
SecretFindings CheckSecretValue(v1::MachineConfig config, const std::string& path,
                                absl::string_view value, const std::string& file);

// The document that has this secret and nothing else, `armored` behind `!sealed`, as YAML at the
// left margin: to be pasted where a file cannot be edited. Empty when the path names nothing.
std::string SecretAlone(const std::string& path, absl::string_view armored);

}  // namespace basalt::client
