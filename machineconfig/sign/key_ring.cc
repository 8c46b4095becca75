#include "machineconfig/sign/key_ring.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"

namespace basalt::sign {
namespace {

bool HasUnknownFields(const google::protobuf::Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

}  // namespace

absl::StatusOr<KeyRing> KeyRing::Of(const v1::TrustPolicy& policy) {
  KeyRing ring;
  for (const v1::TrustKey& entry : policy.keys()) {
    auto key = PublicKey::Parse(entry.public_key());
    if (!key.ok()) {
      return InvalidPolicy(absl::StrCat("keys[", entry.name(), "]: ", key.status().message()));
    }
    if (ring.ByName(entry.name()) != nullptr) {
      return InvalidPolicy(absl::StrCat("keys[", entry.name(), "]: the name stands twice"));
    }
    if (const KnownKey* twin = ring.ByRaw(key->raw())) {
      return InvalidPolicy(absl::StrCat("keys[", entry.name(), "]: the same public key as keys[",
                                        twin->name, "]: one key would count twice"));
    }
    const auto& revoked = policy.revoked();
    ring.keys_.push_back(
        {.name = entry.name(),
         .key = *std::move(key),
         .revoked = std::find(revoked.begin(), revoked.end(), entry.name()) != revoked.end()});
  }
  return ring;
}

const KnownKey* KeyRing::ByName(absl::string_view name) const {
  auto it = std::find_if(keys_.begin(), keys_.end(),
                         [&](const KnownKey& k) { return absl::string_view(k.name) == name; });
  return it == keys_.end() ? nullptr : &*it;
}

const KnownKey* KeyRing::ByRaw(absl::string_view raw) const {
  auto it = std::find_if(keys_.begin(), keys_.end(),
                         [&](const KnownKey& k) { return absl::string_view(k.key.raw()) == raw; });
  return it == keys_.end() ? nullptr : &*it;
}

void KeyRing::Merge(const KeyRing& other) {
  for (const KnownKey& key : other.keys_) {
    if (ByRaw(key.key.raw()) == nullptr) keys_.push_back(key);
  }
}

const KnownKey* KeyRing::Find(absl::string_view pae, const v1::Signature& signature) const {
  for (const KnownKey& known : keys_) {
    // A keyid narrows the search; a wrong one finds nothing, and so refuses.
    if (!signature.key_id().empty() && !known.Is(signature.key_id())) continue;
    if (known.key.Verify(pae, signature.signature())) return &known;
  }
  return nullptr;
}

absl::StatusOr<std::vector<const KnownKey*>> KeyRing::Match(
    const v1::SignedDocument& document) const {
  const std::string pae = Pae(PayloadType(document.type()), document.payload());
  std::vector<const KnownKey*> out;
  for (int i = 0; i < document.signatures_size(); ++i) {
    const v1::Signature& signature = document.signatures(i);
    const KnownKey* key = Find(pae, signature);
    if (key == nullptr) {
      auto named = std::find_if(keys_.begin(), keys_.end(),
                                [&](const KnownKey& k) { return k.Is(signature.key_id()); });
      std::string which = absl::StrCat("signature ", i + 1, " of ", document.signatures_size());
      if (named != keys_.end()) {
        return api::Coded(absl::StatusCode::kPermissionDenied, "bad-signature",
                          absl::StrCat(which, " is not a signature of key `", named->name,
                                       "` over this document: it was changed after signing, or "
                                       "signed as another type"),
                          "sign the document again: nodectl sign -f FILE");
      }
      return api::Coded(
          absl::StatusCode::kPermissionDenied, "bad-signature",
          absl::StrCat(which,
                       " was made by no key of the trust policy over this document; the policy "
                       "knows ",
                       absl::StrJoin(keys_, ", ",
                                     [](std::string* s, const KnownKey& k) {
                                       absl::StrAppend(s, "`", k.name, "`");
                                     })),
          "sign with a key that the policy grants, or add the key to the policy");
    }
    if (std::find(out.begin(), out.end(), key) != out.end()) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "duplicate-signer",
                        absl::StrCat("key `", key->name,
                                     "` signed twice: it counts once, and a "
                                     "document carries each signature once"),
                        "remove the second signature, or sign anew");
    }
    out.push_back(key);
  }
  return out;
}

std::vector<const KnownKey*> KeyRing::MatchKnown(const v1::SignedDocument& document) const {
  const std::string pae = Pae(PayloadType(document.type()), document.payload());
  std::vector<const KnownKey*> out;
  for (const v1::Signature& signature : document.signatures()) {
    const KnownKey* key = Find(pae, signature);
    if (key != nullptr && std::find(out.begin(), out.end(), key) == out.end()) out.push_back(key);
  }
  return out;
}

absl::Status CheckShape(const v1::SignedDocument& document, v1::DocumentType expected) {
  auto refuse = [](absl::string_view reason, absl::string_view what, absl::string_view hint) {
    return api::Coded(absl::StatusCode::kInvalidArgument, reason, what, hint);
  };
  if (document.payload().size() > kMaxPayload) {
    return refuse("too-large",
                  absl::StrCat("the payload has ", document.payload().size(), " bytes; at most ",
                               kMaxPayload),
                  "move large manifests and images out of the document");
  }
  if (document.type() != expected || TypeWord(expected).empty()) {
    absl::string_view is = TypeWord(document.type());
    return refuse("wrong-type",
                  absl::StrCat("the document was signed as `", is.empty() ? "unknown" : is,
                               "`; expected `", TypeWord(expected), "`"),
                  "sign it as the type it is meant to be: nodectl sign");
  }
  // What a later version added may change what the document means: never passed over.
  bool unknown = HasUnknownFields(document) || HasUnknownFields(document.set_proof());
  for (const v1::Signature& signature : document.signatures()) {
    unknown |= HasUnknownFields(signature);
  }
  if (unknown) {
    return refuse("unknown-field", "the document carries a field that this version does not know",
                  "send it as this version's nodectl writes it, or update the node first");
  }
  if (document.signatures().empty()) {
    return api::Coded(absl::StatusCode::kPermissionDenied, "no-signatures",
                      "the document is not signed", "sign it: nodectl sign -f FILE");
  }
  if (document.signatures_size() > kMaxSignatures) {
    return refuse("too-many-signatures",
                  absl::StrCat("the document has ", document.signatures_size(),
                               " signatures; at most ", kMaxSignatures),
                  "sign it with fewer keys");
  }
  for (const v1::Signature& signature : document.signatures()) {
    if (signature.scheme() == v1::SIGNATURE_SCHEME_DSSE) continue;
    std::string name = signature.scheme() == v1::SIGNATURE_SCHEME_SSHSIG ? "SSHSIG"
                       : signature.scheme() == v1::SIGNATURE_SCHEME_MINISIGN
                           ? "minisign"
                           : absl::StrCat("number ", static_cast<int>(signature.scheme()));
    return refuse("unknown-scheme",
                  absl::StrCat("signature scheme ", name,
                               " is not known to this version; it knows DSSE (Ed25519, ECDSA "
                               "P-256)"),
                  "sign it with nodectl sign, which makes DSSE signatures");
  }
  if (document.has_set_proof()) {
    return refuse("unsupported-proof",
                  "the document is part of a signed set, which this version cannot check",
                  "sign the document itself: nodectl sign -f FILE");
  }
  return absl::OkStatus();
}

bool KnownKey::Is(absl::string_view key_id) const {
  const auto& bytes = key.id().bytes;
  return key_id == absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

absl::Status InvalidPolicy(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "invalid-policy",
                    absl::StrCat("trust policy: ", what), "correct the policy and sign it again");
}

absl::Status RevokedKey(const KnownKey& key) {
  return api::Coded(absl::StatusCode::kPermissionDenied, "revoked-key",
                    absl::StrCat("key `", key.name, "` is revoked by the trust policy"),
                    "sign with a key that the policy still grants");
}

}  // namespace basalt::sign
