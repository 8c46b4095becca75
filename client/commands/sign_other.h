// Signatures under documents that are no machine configs: trust policies and actions. They are
// signed as they stand in the file; nothing is filled in. Not thread-safe.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/commands/commands.h"
#include "client/commands/inputs.h"
#include "client/commands/session.h"

namespace basalt::client {

// By the type of an envelope, by the kind of a source.
bool IsPolicyOrAction(const Input& input);

// Shows what it does, adds the signatures that the options name, writes it, and says what is still
// missing. A policy is the next version of the context's chain; without --key its root keys sign,
// where their files lie here. An action is asked about as `reset` does.
absl::Status SignPolicyOrAction(Session& session, const Input& input, const SignOptions& options);

// `sign` of what was read already: in place of `options.files`.
absl::StatusOr<int> SignInputs(Session& session, const SignOptions& options,
                               std::vector<Input> inputs);

}  // namespace basalt::client
