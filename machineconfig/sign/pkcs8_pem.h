// Private keys of any kind to and from PEM. Private to machineconfig/sign: keys.h and efi_key.h say
// what they are good for. Reasons: those of keys.h.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/sign/openssl_ptr.h"

namespace basalt::sign {

// Plain or encrypted (PBES2, with a bounded key derivation).
absl::StatusOr<EvpPkeyPtr> OpenPrivateKeyPem(absl::string_view pem, absl::string_view passphrase);
// With a passphrase: PBES2, scrypt, AES-256-CBC.
std::string WritePrivateKeyPem(EVP_PKEY* key, absl::string_view passphrase);

}  // namespace basalt::sign
