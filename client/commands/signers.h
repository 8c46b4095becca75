// Who signs: keys in files, a program of the owner's, and signatures that other tools have made.
// Nothing is added that is not good; whether the trust policy knows the signers is asked
// afterwards.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "basalt/v1/document.pb.h"
#include "client/commands/commands.h"
#include "client/commands/session.h"

namespace basalt::client {

// A signature of every --key and of the --sign-command; of the context's key when neither is given.
// Reasons also: sign-command (it failed, or what it wrote is no signature of --sign-public-key).
absl::Status AddSignatures(Session& session, const SigningOptions& options,
                           v1::SignedDocument& document);

// The signatures in `files`, as ssh-keygen -Y sign and minisign -S write them.
absl::Status AttachSignatures(const std::vector<std::string>& files, v1::SignedDocument& document);

}  // namespace basalt::client
