// The texts in which people keep public keys, each reduced to algorithm and raw bytes. Syntax only:
// whether the bytes are a good key is decided by PublicKey. Pure, thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::sign {

struct KeyText {
  enum class Kind { kSpkiDer, kEd25519Raw, kP256Point } kind;
  std::string bytes;
};

// PEM "PUBLIC KEY"; "ssh-ed25519 AAAA... comment" or "ecdsa-sha2-nistp256 AAAA... comment"
// (RFC 4253 section 6.6, RFC 5656); a minisign public key, with or without its comment line.
absl::StatusOr<KeyText> ParseKeyText(absl::string_view text);

}  // namespace basalt::sign
