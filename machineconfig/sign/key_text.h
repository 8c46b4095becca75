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
  std::string application;  // of a key on a security key; else empty
};

// PEM "PUBLIC KEY"; "ssh-ed25519 AAAA... comment" or "ecdsa-sha2-nistp256 AAAA... comment"
// (RFC 4253 section 6.6, RFC 5656), and the same two of a security key (PROTOCOL.u2f of OpenSSH:
// "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"); a minisign public key, with
// or without its comment line.
absl::StatusOr<KeyText> ParseKeyText(absl::string_view text);

}  // namespace basalt::sign
