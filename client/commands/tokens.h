// The tokens of secrets.yaml as values. Not thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/commands/cluster_secrets.h"
#include "client/commands/session.h"
#include "machineconfig/seal/secret_bytes.h"

namespace basalt::client {

// 64 hex digits of 32 random bytes. Unavailable/"no-randomness".
absl::StatusOr<seal::SecretBytes> NewToken();

// The value, opened with the context's identity when it is sealed. Annotated with `file`.
absl::StatusOr<seal::SecretBytes> OpenClusterSecret(Session& session, const std::string& file,
                                                    const ClusterSecret& secret);
// Of the context's file. NotFound/"no-token".
absl::StatusOr<seal::SecretBytes> ReadToken(Session& session, const std::string& name);

}  // namespace basalt::client
