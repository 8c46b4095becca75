#include "machineconfig/sign/document.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/config_set.h"
#include "machineconfig/sign/key_ring.h"

namespace basalt::sign {

namespace {

void Add(v1::SignedDocument& document, const PublicKey& key, const std::string& bytes) {
  v1::Signature* signature = document.add_signatures();
  signature->set_scheme(v1::SIGNATURE_SCHEME_DSSE);
  signature->set_signature(bytes);
  signature->set_key_id(key.id().bytes.data(), key.id().bytes.size());
}

}  // namespace

absl::string_view TypeWord(v1::DocumentType type) {
  switch (type) {
    case v1::DOCUMENT_TYPE_MACHINE_CONFIG:
      return "machineconfig";
    case v1::DOCUMENT_TYPE_CONFIG_SET:
      return "configset";
    case v1::DOCUMENT_TYPE_TRUST_POLICY:
      return "trustpolicy";
    case v1::DOCUMENT_TYPE_ACTION:
      return "action";
    case v1::DOCUMENT_TYPE_IMAGE:
      return "image";
    case v1::DOCUMENT_TYPE_BUNDLE:
      return "bundle";
    default:
      return "";
  }
}

std::string PayloadType(v1::DocumentType type) {
  return absl::StrCat("application/vnd.basalt.", TypeWord(type), ".v1+yaml");
}

std::string Pae(absl::string_view payload_type, absl::string_view payload) {
  return absl::StrCat("DSSEv1 ", payload_type.size(), " ", payload_type, " ", payload.size(), " ",
                      payload);
}

Digest DocumentDigest(const v1::SignedDocument& document) {
  return Sha256(Pae(PayloadType(document.type()), document.payload()));
}

v1::SignedDocument Sign(v1::DocumentType type, absl::string_view payload,
                        const std::vector<const PrivateKey*>& keys) {
  v1::SignedDocument document;
  document.set_type(type);
  document.set_payload(std::string(payload));
  for (const PrivateKey* key : keys) AddSignature(document, *key);
  return document;
}

void AddSignature(v1::SignedDocument& document, const PrivateKey& key) {
  const SignedPart part = WhatIsSigned(document);
  Add(document, key.public_key(), key.Sign(Pae(PayloadType(part.type), part.payload)));
}

bool AddSignatureOf(v1::SignedDocument& document, const PublicKey& key,
                    absl::string_view signature) {
  const SignedPart part = WhatIsSigned(document);
  const std::string pae = Pae(PayloadType(part.type), part.payload);
  std::string bytes(signature);
  if (!key.Verify(pae, bytes)) {
    if (key.algorithm() != Algorithm::kEcdsaP256) return false;
    bytes = EcdsaDer(signature);
    if (!key.Verify(pae, bytes)) return false;
  }
  Add(document, key, bytes);
  return true;
}

absl::StatusOr<VerifiedDocument> Verify(const v1::SignedDocument& document,
                                        v1::DocumentType expected, const v1::TrustPolicy& policy) {
  if (absl::Status status = CheckShape(document, expected); !status.ok()) return status;
  auto ring = KeyRing::Of(policy);
  if (!ring.ok()) return ring.status();
  auto found = ring->Match(document);
  if (!found.ok()) return found.status();

  VerifiedDocument out;
  for (const KnownKey* key : *found) {
    if (key->revoked) return RevokedKey(*key);
    out.signers_.push_back({.name = key->name, .id = key->key.id()});
  }
  std::sort(out.signers_.begin(), out.signers_.end(),
            [](const Signer& a, const Signer& b) { return a.name < b.name; });
  if (document.has_set_proof()) {
    auto set = CheckProof(document, policy.cluster());
    if (!set.ok()) return set.status();
    out.set_ = SetMembership{.set = DocumentDigest(SetOf(document)),
                             .index = static_cast<int64_t>(document.set_proof().index()),
                             .size = set->size()};
  }
  out.document_ = document;
  out.digest_ = DocumentDigest(document);
  return out;
}

}  // namespace basalt::sign
