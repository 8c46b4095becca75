// Recipients and identities of age's X25519 kind, as the age tool writes them. Values; immutable,
// thread-compatible. Secret halves are overwritten when they are dropped.
// Reasons: bad-recipient, weak-recipient (a point of low order), unsupported-recipient;
// bad-identity, unsupported-identity. A text that may be a secret is never repeated in an error.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/seal/secret_bytes.h"

namespace basalt::seal {

// Fills `out` with `size` bytes of a cryptographic generator; false when it has none to give. Given
// by the caller, so that this library is pure and its tests repeat published vectors.
using Random = absl::FunctionRef<bool(uint8_t* out, size_t size)>;

class Recipient {
 public:
  // "age1..."
  static absl::StatusOr<Recipient> Parse(absl::string_view text);
  std::string Text() const;
  const std::string& raw() const { return raw_; }  // 32 bytes
  bool operator==(const Recipient&) const = default;

 private:
  friend class Identity;
  explicit Recipient(std::string raw) : raw_(std::move(raw)) {}
  std::string raw_;
};

class Identity {
 public:
  // Unavailable/"no-randomness".
  static absl::StatusOr<Identity> Generate(Random random);
  // "AGE-SECRET-KEY-1..."
  static absl::StatusOr<Identity> Parse(absl::string_view text);
  SecretBytes Text() const;
  const Recipient& recipient() const { return recipient_; }
  absl::string_view raw() const { return raw_.view(); }

 private:
  explicit Identity(SecretBytes raw);
  SecretBytes raw_;
  Recipient recipient_;
};

// Files of them, one a line; empty lines and lines that begin with `#` say nothing. Errors name
// `file` and the line. "no-recipients"/"no-identities" when there is none.
absl::StatusOr<std::vector<Recipient>> ParseRecipients(absl::string_view text,
                                                       absl::string_view file);
absl::StatusOr<std::vector<Identity>> ParseIdentities(absl::string_view text,
                                                      absl::string_view file);

}  // namespace basalt::seal
