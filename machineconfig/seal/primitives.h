// The four primitives that age v1 is made of, on OpenSSL. Private to machineconfig/seal. Pure,
// thread-safe. Out of memory inside OpenSSL aborts: there is nothing to go on with.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "machineconfig/seal/secret_bytes.h"

namespace basalt::seal {

inline constexpr size_t kKeySize = 32;
inline constexpr size_t kTagSize = 16;

using Nonce = std::array<uint8_t, 12>;

// RFC 7748 section 5. nullopt when the result is all zero, i.e. `point` is of low order: whoever
// sent it knows the "shared" secret without a key.
std::optional<SecretBytes> X25519(absl::string_view scalar32, absl::string_view point32);
// `scalar32` times the base point.
std::string X25519Base(absl::string_view scalar32);

// RFC 5869 with SHA-256 and 32 bytes of output, which is the one length that age uses.
SecretBytes Hkdf(absl::string_view ikm, absl::string_view salt, absl::string_view info);
std::string HmacSha256(absl::string_view key, absl::string_view data);

// ChaCha20-Poly1305 (RFC 8439) without associated data; the ciphertext ends with the tag.
void AeadSeal(const SecretBytes& key, const Nonce& nonce, absl::string_view plaintext,
              std::string& out);
// Writes ciphertext.size() - kTagSize bytes to `out`. False when it was not sealed with this key;
// `out` then holds nothing to be used.
bool AeadOpen(const SecretBytes& key, const Nonce& nonce, absl::string_view ciphertext,
              uint8_t* out);

// Base64 without padding, canonical (RFC 4648 section 3.5), as headers have it.
std::string Base64Raw(absl::string_view bytes);
std::optional<std::string> Base64RawDecode(absl::string_view text);

}  // namespace basalt::seal
