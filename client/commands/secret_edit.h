// A sealed secret into a person's YAML, and nothing else changed: comments, order and blank lines
// stay. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::client {

// OK when `path` names a secret of the schema ("k3s.token",
// "k3s.registries.configs[ghcr.io].password"). InvalidArgument/"not-a-secret" with those that are.
absl::Status CheckSecretPath(absl::string_view path);

// The text with the secret at `path` set to `!sealed |` and `armored`, or to `!sealed "..."` within
// brackets; added where its section stands but it does not. FailedPrecondition/"cannot-edit" with
// the lines to paste when the text is written in a way that cannot be edited (`? key`), or its
// section or list element is missing.
absl::StatusOr<std::string> EditSecret(absl::string_view text, const std::string& file,
                                       const std::string& path, absl::string_view armored);

}  // namespace basalt::client
