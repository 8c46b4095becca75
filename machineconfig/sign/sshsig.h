// Signatures as `ssh-keygen -Y sign` makes them (PROTOCOL.sshsig of OpenSSH, version 1), by Ed25519
// and ECDSA P-256 keys, in files or on security keys (sk-*, PROTOCOL.u2f). What is signed is the
// payload itself; the namespace says of which type it is. Each signature has one encoding here:
// what a lenient reader would let pass is refused. Pure, thread-safe. Reasons: bad-signature (not
// in this form, damaged, a security key that nobody touched), unknown-scheme (RSA, webauthn-*,
// another version).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/document.pb.h"
#include "machineconfig/sign/keys.h"

namespace basalt::sign {

inline constexpr size_t kMaxSshSignature = 1024;  // of a known key: about 400

// "basalt-machineconfig@v1"
std::string SshNamespace(v1::DocumentType type);

// What the blob says; nothing of it is checked against a key yet.
struct SshSignature {
  Algorithm algorithm = Algorithm::kEd25519;
  std::string key_raw;  // as PublicKey::raw()
  std::string name_space;
  std::string hash;       // "sha256" or "sha512"
  std::string signature;  // as PublicKey::Verify takes it
  // Of a security key; an empty application: an ordinary key.
  std::string application;
  uint8_t flags = 0;
  uint32_t counter = 0;
};
absl::StatusOr<SshSignature> ParseSshSignature(absl::string_view blob);

// Is it a signature of `key` over `message`? The caller compares the namespace.
bool VerifySshSignature(const SshSignature& signature, const PublicKey& key,
                        absl::string_view message);

// The text between BEGIN and END SSH SIGNATURE to the blob, and back as ssh-keygen writes it.
absl::StatusOr<std::string> UnarmorSshSignature(absl::string_view text);
std::string ArmorSshSignature(absl::string_view blob);

// "SHA256:..." of a public key, as ssh-add -l shows it; `raw` as PublicKey::raw().
std::string SshFingerprint(Algorithm algorithm, absl::string_view raw,
                           absl::string_view application = "");
// The public key on the wire (RFC 8709 section 4, RFC 5656 section 3.1, PROTOCOL.u2f).
std::string SshKeyBlob(Algorithm algorithm, absl::string_view raw,
                       absl::string_view application = "");
// "ssh-ed25519 AAAA...", without a comment.
std::string SshKeyLine(Algorithm algorithm, absl::string_view raw,
                       absl::string_view application = "");
// The text for a trust policy, which Parse reads back as the same key: PEM, and of a security key
// the line, because PEM has no place for its application.
std::string PublicKeyText(const PublicKey& key);

// For a key that only an agent has: the bytes that it signs, and the blob of a signature made of
// its answer, the signature of RFC 4253 section 6.6. The blob is not checked: parse it.
std::string SshToBeSigned(v1::DocumentType type, absl::string_view message);
std::string SshSignatureOf(absl::string_view key_blob, v1::DocumentType type,
                           absl::string_view answer);

// The blob of a new signature by `key`.
std::string MakeSshSignature(const PrivateKey& key, v1::DocumentType type,
                             absl::string_view message);

}  // namespace basalt::sign
