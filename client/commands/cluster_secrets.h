// secrets.yaml: the tokens of a cluster, from which configs are made. A value stands in the clear,
// or behind `!sealed |` for the line `basalt-seal/v1 CLUSTER secrets.yaml NAME`: no node can have
// that name. Edited in place, comments and
// order stay. Pure, thread-safe; tokens.h opens the values.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/seal/field.h"

namespace basalt::client {

// "server" (k3s.token) and "agent" (k3s.agentToken), in the order of the file.
const std::vector<std::string>& ClusterSecretNames();
seal::FieldContext ClusterSecretField(absl::string_view cluster, absl::string_view name);

struct ClusterSecret {
  std::string name;
  std::string text;  // as it stands there; empty: it does not
  bool sealed = false;
};
// The known ones; other keys are left alone. Errors name `file`.
absl::StatusOr<std::vector<ClusterSecret>> ReadClusterSecrets(absl::string_view text,
                                                              const std::string& file);

// A new file, and one with `name` set to `text`: a plain value, or an armored one.
std::string NewClusterSecretsText(absl::string_view cluster);
absl::StatusOr<std::string> PutClusterSecret(absl::string_view text, const std::string& file,
                                             const std::string& name, absl::string_view value);

}  // namespace basalt::client
