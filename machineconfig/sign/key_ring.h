// The keys of a policy, parsed, and the search for those that made a document's signatures. Private
// to machineconfig/sign. Pure; immutable after construction.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "basalt/v1/document.pb.h"
#include "basalt/v1/trust.pb.h"
#include "machineconfig/sign/keys.h"

namespace basalt::sign {

struct KnownKey {
  std::string name;
  PublicKey key;
  bool revoked = false;

  bool Is(absl::string_view key_id) const;  // as it stands in a signature: 32 bytes
};

class KeyRing {
 public:
  // Reasons: invalid-policy (a key that cannot be read, one key or one name twice).
  static absl::StatusOr<KeyRing> Of(const v1::TrustPolicy& policy);

  const std::vector<KnownKey>& keys() const { return keys_; }
  const KnownKey* ByName(absl::string_view name) const;
  const KnownKey* ByRaw(absl::string_view raw) const;
  // Adds those keys of `other` that are not here yet, by public key.
  void Merge(const KeyRing& other);

  // The key of each signature, in order. Reasons: bad-signature, unknown-scheme, duplicate-signer
  // (also when the two are of different schemes). Revoked keys
  // match like the others: the caller decides.
  absl::StatusOr<std::vector<const KnownKey*>> Match(const v1::SignedDocument& document) const;
  // The same, but a signature that no key here made is passed over: for the check against an
  // older policy, whose successor names more keys.
  std::vector<const KnownKey*> MatchKnown(const v1::SignedDocument& document) const;

 private:
  // nullptr: no key here made it, and no more is known. An error says more: the signature is
  // damaged, of a kind that is not known, for another type, or claims a key and is not that key's.
  absl::StatusOr<const KnownKey*> Find(const v1::SignedDocument& document,
                                       const v1::Signature& signature) const;
  const KnownKey* FindDsse(const v1::SignedDocument& document,
                           const v1::Signature& signature) const;
  absl::StatusOr<const KnownKey*> FindSsh(const v1::SignedDocument& document,
                                          const v1::Signature& signature) const;
  absl::StatusOr<const KnownKey*> FindMinisign(const v1::SignedDocument& document,
                                               const v1::Signature& signature) const;
  // A key that a signature of nobody here is tried against, so that it costs what one of ours that
  // does not fit costs; null when there is none of the algorithm.
  const KnownKey* Decoy(Algorithm algorithm) const;
  // It was made by `who`, where that is known, and that is no key of the policy.
  absl::Status NoKey(absl::string_view who) const;
  std::vector<KnownKey> keys_;
};

// What can be said without keys: size, type, number and scheme of the signatures. Reasons:
// too-large, wrong-type, unknown-field, no-signatures, too-many-signatures, unknown-scheme,
// bad-proof, unsupported-proof.
absl::Status CheckShape(const v1::SignedDocument& document, v1::DocumentType expected);

absl::Status RevokedKey(const KnownKey& key);
// A policy that contradicts itself.
absl::Status InvalidPolicy(absl::string_view what);

}  // namespace basalt::sign
