// age v1 (age-encryption.org/v1): bytes sealed to one or more X25519 recipients. Pure, thread-safe;
// made to interoperate with the age tool in both directions.
//
// It does not say who sealed: anyone with the recipient can. Authorship is what signatures are for.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "machineconfig/seal/keys.h"
#include "machineconfig/seal/secret_bytes.h"

namespace basalt::seal {

// The binary form. Draws from `random`: 16 bytes of file key, 32 for each recipient, 16 of nonce.
// InvalidArgument: no-recipients, too-many-recipients (64), weak-recipient, too-large;
// Unavailable/"no-randomness".
absl::StatusOr<std::string> Encrypt(absl::string_view plaintext,
                                    absl::Span<const Recipient> recipients, Random random);

// The binary form. Stanzas of other kinds are passed over (that is how age stays extensible); one
// of ours that breaks the rules refuses the whole. PermissionDenied/"no-matching-identity";
// InvalidArgument: bad-age-header, unknown-age-version, bad-age-mac, bad-age-payload, too-large.
absl::StatusOr<SecretBytes> Decrypt(absl::string_view file, absl::Span<const Identity> identities);

}  // namespace basalt::seal
