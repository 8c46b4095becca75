// The cryptography of a LUKS2 keyslot: from what somebody knows to the key of the volume. Pure but
// for the memory that Argon2 takes; OpenSSL's and libargon2's primitives.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "machineconfig/seal/secret_bytes.h"
#include "server/unlock/luks_header.h"
#include "server/unlock/status.h"

namespace basalt::unlock {

using seal::SecretBytes;

// Random bytes of OpenSSL's generator; ends the process when there are none.
std::string RandomText(size_t size);
SecretBytes RandomSecret(size_t size);

// For keys that are random themselves: nothing has to be slow.
Kdf FastKdf(std::string salt);
// For what a person made up: Argon2id, as much memory as a machine of `memory_total` bytes can
// spare while nothing else runs yet.
Kdf SlowKdf(std::string salt, uint64_t memory_total);

StatusOr<SecretBytes> Derive(const Kdf& kdf, absl::string_view passphrase, size_t size);

// Of a volume key, as the header keeps it.
std::string DigestOf(const SecretBytes& volume_key, absl::string_view salt, uint32_t iterations);

// The kAreaSize bytes of a keyslot's area: the volume key, spread over 4000 stripes so that no part
// of it can be left behind, and encrypted with the derived key.
StatusOr<std::string> LockArea(const Kdf& kdf, absl::string_view passphrase,
                               const SecretBytes& volume_key);
// The volume key of an area. PermissionDenied: the passphrase is not the one, by the digest.
StatusOr<SecretBytes> OpenArea(const Header& header, const Keyslot& slot, absl::string_view area,
                               absl::string_view passphrase);

}  // namespace basalt::unlock
