// Keys of owners and nodes: Ed25519 and ECDSA P-256 on OpenSSL primitives, nothing else. Values are
// immutable after construction and may be shared between threads. Private bytes are cleansed.
// Reasons: bad-key (not a key, damaged, off the curve), unsupported-key (another algorithm or
// form), weak-key (a point of small order), passphrase-needed, wrong-passphrase.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/base/digest.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace basalt::sign {

enum class Algorithm { kEd25519, kEcdsaP256 };

class PublicKey {
 public:
  // PEM SPKI, an OpenSSH public key line ("ssh-ed25519 AAAA... comment", also of the keys "sk-..."
  // of security keys) or a minisign public key line. Other algorithms, small-order points and
  // non-canonical encodings are refused.
  static absl::StatusOr<PublicKey> Parse(absl::string_view text);
  static absl::StatusOr<PublicKey> FromEd25519(absl::string_view raw32);
  // The DER SubjectPublicKeyInfo in its one canonical encoding (named curve, uncompressed point).
  static absl::StatusOr<PublicKey> FromSpkiDer(absl::string_view der);
  // The public half of an OpenSSL key; a reference is not kept.
  static absl::StatusOr<PublicKey> FromOpenSsl(const EVP_PKEY* key);

  Algorithm algorithm() const { return algorithm_; }
  // sha256 of the DER SPKI: the key id, and of an identity key the machineId and fingerprint. It
  // names the key pair: of a key on a security key too, whatever its application.
  const Digest& id() const { return id_; }
  // Of the point alone; PublicKeyText (sshsig.h) keeps the application.
  std::string Pem() const;
  const std::string& spki_der() const { return spki_der_; }
  // Ed25519: the 32 raw bytes. P-256: the uncompressed point. Signers are counted by it.
  const std::string& raw() const { return raw_; }

  // "ssh:..." of a key on a security key (FIDO authenticator); empty: an ordinary key.
  const std::string& application() const { return application_; }
  // The same point as a key on a security key. `application` is not empty.
  PublicKey OnSecurityKey(absl::string_view application) const;

  // True only for a canonical, valid signature: Ed25519 with S < L and an R that is no point of
  // small order; ECDSA strict DER, low or high S alike (the document's identity does not depend on
  // the signature bytes). Never for a key on a security key: such a one signs nothing bare.
  bool Verify(absl::string_view message, absl::string_view signature) const;
  // A signature by a security key (PROTOCOL.u2f of OpenSSH): over the hashes of application and
  // message with what it did in between. True only when it was touched. `counter` is signed and no
  // more: how far it had come is known to nobody here.
  bool VerifyTouched(absl::string_view message, uint8_t flags, uint32_t counter,
                     absl::string_view signature) const;

 private:
  Algorithm algorithm_ = Algorithm::kEd25519;
  Digest id_;
  std::string spki_der_;
  bool VerifyBare(absl::string_view message, absl::string_view signature) const;

  std::string raw_;
  std::string application_;
  std::shared_ptr<EVP_PKEY> key_;
};

// What a security key says of itself beside a signature: a person touched it.
inline constexpr uint8_t kUserPresent = 0x01;

// The DER of an ECDSA P-256 signature given as r and s side by side, 32 bytes each; empty for
// anything else.
std::string EcdsaDer(absl::string_view r_and_s);

class PrivateKey {
 public:
  static PrivateKey GenerateEd25519();
  // PKCS#8 PEM; encrypted needs the passphrase: Unauthenticated/"passphrase-needed" without,
  // PermissionDenied/"wrong-passphrase" with a wrong one.
  static absl::StatusOr<PrivateKey> FromPem(absl::string_view pem,
                                            absl::string_view passphrase = "");
  // With a passphrase: PBES2, scrypt or PBKDF2, AES-256-CBC.
  std::string Pem(absl::string_view passphrase = "") const;

  const PublicKey& public_key() const { return public_key_; }
  std::string Sign(absl::string_view message) const;
  // Takes ownership of `key`, also when it refuses.
  static absl::StatusOr<PrivateKey> FromOpenSsl(EVP_PKEY* key);
  EVP_PKEY* get() const { return key_.get(); }  // for X.509; not owned by the caller

 private:
  std::shared_ptr<EVP_PKEY> key_;
  PublicKey public_key_;
};

}  // namespace basalt::sign
