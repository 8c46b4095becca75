// Signed documents: making, reading and checking them. Three schemes say the same thing, each in
// its own way: DSSE signs the PAE of the type's payloadType and the payload; SSHSIG (sshsig.h) and
// minisign (minisign.h) sign the payload and name the type beside it. Who a document is does not
// depend on that: its identity is the digest of the PAE. Nor does it depend on whether it was
// signed alone or as part of a set (config_set.h). Pure, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/document.pb.h"
#include "basalt/v1/trust.pb.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/keys.h"

namespace basalt::sign {

inline constexpr size_t kMaxPayload = 1 << 20;
inline constexpr int kMaxSignatures = 16;

// "machineconfig", "configset", "trustpolicy", "action", "image", "bundle"
absl::string_view TypeWord(v1::DocumentType type);
// "application/vnd.basalt.machineconfig.v1+yaml"
std::string PayloadType(v1::DocumentType type);
// "DSSEv1 LEN(type) type LEN(payload) payload"
std::string Pae(absl::string_view payload_type, absl::string_view payload);
// The identity of a document: sha256 of its PAE.
Digest DocumentDigest(const v1::SignedDocument& document);

// A signature here is over what WhatIsSigned says: of a part of a set, over the set.
v1::SignedDocument Sign(v1::DocumentType type, absl::string_view payload,
                        const std::vector<const PrivateKey*>& keys);
void AddSignature(v1::SignedDocument& document, const PrivateKey& key);
// A DSSE signature that was made elsewhere (an HSM, a KMS) over the PAE. Ed25519: 64 bytes; ECDSA:
// DER, or r and s side by side as PKCS#11 gives them. False, and nothing added, when it is not
// `key`'s.
bool AddSignatureOf(v1::SignedDocument& document, const PublicKey& key,
                    absl::string_view signature);

// DSSE JSON: {"payload": base64, "payloadType": ..., "signatures": [{"keyid": ..., "sig":
// base64}]}. Reading: exactly these fields, canonical base64, keyid absent or the key's id. Where
// there are signatures of the other schemes, and only there, they follow as "detachedSignatures":
// [{"scheme": "sshsig" or "minisign", "sig": base64 of the stored form}]. Of a part of a set it is
// the envelope of the ConfigSet, and beside it "member": {"payload": base64 of the file,
// "payloadType", "index", "path": [base64, ...]}.
std::string ToDsseJson(const v1::SignedDocument& document);
absl::StatusOr<v1::SignedDocument> FromDsseJson(absl::string_view json);
// A chain: a JSON array of envelopes, version 1 first.
std::string ChainToJson(const v1::TrustChain& chain);
absl::StatusOr<v1::TrustChain> ChainFromJson(absl::string_view json);

struct Signer {
  std::string name;  // in the policy
  Digest id;
  bool operator==(const Signer&) const = default;
};

// Of which set a document is a part, and where in it.
struct SetMembership {
  Digest set;  // the identity of the ConfigSet
  int64_t index = 0;
  int64_t size = 0;
  bool operator==(const SetMembership&) const = default;
};

// A document whose signatures are good and whose signers the policy knows. Only FromVerify makes
// one, so code that takes it cannot be handed bytes that nobody checked.
class VerifiedDocument {
 public:
  const v1::SignedDocument& document() const { return document_; }
  const std::string& payload() const { return document_.payload(); }
  const std::vector<Signer>& signers() const { return signers_; }  // distinct, sorted by name
  const Digest& digest() const { return digest_; }
  const std::optional<SetMembership>& set() const { return set_; }

 private:
  friend absl::StatusOr<VerifiedDocument> Verify(const v1::SignedDocument&, v1::DocumentType,
                                                 const v1::TrustPolicy&);
  v1::SignedDocument document_;
  std::vector<Signer> signers_;
  Digest digest_;
  std::optional<SetMembership> set_;
};

// Size, type, count, every signature. Signers are counted by raw public key. Reasons:
//   too-large, wrong-type, no-signatures, too-many-signatures, unknown-scheme, bad-signature (a
//   known key's bad signature, a signature that no key of the policy made, or one that is damaged
//   or made for another type), duplicate-signer, revoked-key; of a part of a set also bad-proof,
//   unsupported-proof, and wrong-cluster when the set is not of the policy's.
// Thresholds are the business of Authorize*. The payload is not parsed. Of a part of a set the
// order is: the signatures over the set, then the set is parsed, then the proof of the payload.
absl::StatusOr<VerifiedDocument> Verify(const v1::SignedDocument& document,
                                        v1::DocumentType expected, const v1::TrustPolicy& policy);

}  // namespace basalt::sign
