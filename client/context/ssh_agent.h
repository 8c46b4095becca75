// Keys that an ssh-agent holds (draft-miller-ssh-agent): the one place that speaks to it. Blocking;
// not thread-safe.
// Reasons: no-agent (none runs, it does not answer, it says no), no-such-key.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/document.pb.h"

namespace basalt::client {

// What --key says instead of a file: "ssh-agent:SHA256:..." as `ssh-add -l` shows it, or
// "ssh-agent:" when the agent holds one usable key only.
inline constexpr absl::string_view kAgentPrefix = "ssh-agent:";

// Adds a signature (SSHSIG) of the agent's key to `document`; it is checked before it is added. The
// agent may ask its owner to confirm or to touch something: it is given five minutes.
absl::Status AddAgentSignature(absl::string_view fingerprint, v1::SignedDocument& document);

}  // namespace basalt::client
