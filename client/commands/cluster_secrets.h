// secrets.yaml: the tokens of a cluster, from which configs are made. A value stands in the clear,
// or behind `!sealed |` for the line `basalt-seal/v1 CLUSTER secrets.yaml NAME`: no node can have
// that name. Edited in place, comments and order stay. Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/commands/session.h"
#include "machineconfig/seal/field.h"

namespace basalt::client {

// "server" (k3s.token) and "agent" (k3s.agentToken), in the order of the file.
const std::vector<std::string>& ClusterSecretNames();
seal::FieldContext ClusterSecretField(absl::string_view cluster, absl::string_view name);

// 64 hex digits of 32 random bytes. Unavailable/"no-randomness".
absl::StatusOr<seal::SecretBytes> NewToken();

struct ClusterSecret {
  std::string name;
  std::string text;  // as it stands there; empty: it does not
  bool sealed = false;
};
// The known ones; other keys are left alone. Errors name `file`.
absl::StatusOr<std::vector<ClusterSecret>> ReadClusterSecrets(absl::string_view text,
                                                              const std::string& file);

// The value, opened with the context's identity when it is sealed. Annotated with `file`.
absl::StatusOr<seal::SecretBytes> OpenClusterSecret(Session& session, const std::string& file,
                                                    const ClusterSecret& secret);
// Of the context's file. NotFound/"no-token".
absl::StatusOr<seal::SecretBytes> ReadToken(Session& session, const std::string& name);

// A new file, and one with `name` set to `text`: a plain value, or an armored one.
std::string NewClusterSecretsText(absl::string_view cluster);
absl::StatusOr<std::string> PutClusterSecret(absl::string_view text, const std::string& file,
                                             const std::string& name, absl::string_view value);

}  // namespace basalt::client
