// Private keys as ssh-keygen keeps them (PROTOCOL.key of OpenSSH), Ed25519 and ECDSA P-256, without
// a passphrase. Pure, thread-safe.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/sign/keys.h"

namespace basalt::sign {

bool LooksLikeOpenSshKey(absl::string_view text);

// Reasons: bad-key, unsupported-key (RSA, hardware keys, a key that is encrypted: OpenSSH's way
// from a passphrase to a key is in no library that we use).
absl::StatusOr<PrivateKey> ReadOpenSshKey(absl::string_view text);

}  // namespace basalt::sign
