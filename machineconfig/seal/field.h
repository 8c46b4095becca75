// A secret of a machine config, sealed for one field of one node of one cluster. What is sealed
// begins with the line
//
//   basalt-seal/v1 CLUSTER NAME FIELD-PATH
//
// and the value follows, byte for byte. So a ciphertext that is copied to another field or node is
// an error there and not a value: age itself would open it anywhere. Pure, thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "machineconfig/seal/keys.h"
#include "machineconfig/seal/secret_bytes.h"

namespace basalt::seal {

struct FieldContext {
  std::string cluster;
  std::string name;  // metadata.name of the node
  std::string path;  // "k3s.token", "k3s.registries.configs[ghcr.io].password"
  bool operator==(const FieldContext&) const = default;

  std::string Line() const;  // without the line feed
};

// The armored text to stand behind `!sealed |`. InvalidArgument also: bad-seal-context (a part is
// empty, holds a control character, or a space where none may be; more than 1 KiB), "too-large"
// (the text would not fit into a config).
absl::StatusOr<std::string> SealField(const FieldContext& field, absl::string_view value,
                                      absl::Span<const Recipient> recipients, Random random);

// The value. FailedPrecondition/"wrong-seal-context" says what differs; InvalidArgument/
// "no-seal-context" when what was sealed does not begin with such a line, and shows none of it.
absl::StatusOr<SecretBytes> OpenField(const FieldContext& field, absl::string_view armored,
                                      absl::Span<const Identity> identities);

}  // namespace basalt::seal
