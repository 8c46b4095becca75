// The trust chain in the owner's directory: trust.json, which nodes are given; trust.yaml, its last
// version as text; and trust.next.json, a next version whose signatures are still being collected.
// trust.json is replaced only by a chain that is complete, and at once. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "basalt/v1/trust.pb.h"
#include "client/commands/session.h"
#include "machineconfig/sign/next_policy.h"

namespace basalt::client {

// Beside trust.json.
std::string NextFile(const Context& context);
std::string PolicyFile(const Context& context);

// The last version of the chain as it was written, without defaults.
absl::StatusOr<v1::TrustPolicy> CurrentPolicy(Session& session);
// The text that is signed for it, with a word to who reads it.
std::string PolicyText(const v1::TrustPolicy& policy);

// What awaits signatures; empty when nothing does, also when it has been overtaken.
absl::StatusOr<std::optional<v1::SignedDocument>> PendingNext(Session& session);

// FILE as a chain or as one signed version.
absl::StatusOr<v1::TrustChain> ReadChain(const std::string& file);

// `update` (a chain, or versions that follow ours) becomes trust.json, and its last version
// trust.yaml, which is left alone when somebody has edited it. An equal chain writes nothing.
absl::StatusOr<sign::VerifiedChain> Adopt(Session& session, const v1::TrustChain& update);

// Where the private half of a key lies: keys/NAME.key beside the context's key. `certain` is false
// when its passphrase would be needed to know.
struct KeyFile {
  std::string path;
  bool certain = false;
};
std::optional<KeyFile> FindKeyFile(const Context& context, const v1::TrustKey& key);

}  // namespace basalt::client
