#include "machineconfig/sign/key_ring.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "machineconfig/sign/config_set.h"
#include "machineconfig/sign/detached.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/minisign.h"
#include "machineconfig/sign/sshsig.h"

namespace basalt::sign {
namespace {

bool HasUnknownFields(const google::protobuf::Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

absl::Status BadSignature(absl::string_view what, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kPermissionDenied, "bad-signature", what, hint);
}

absl::Status NotOfKey(const KnownKey& key) {
  return BadSignature(absl::StrCat("it is not a signature of key `", key.name,
                                   "` over this document: it was changed after signing, or signed "
                                   "as another type"),
                      "sign the document again: nodectl sign -f FILE");
}

// A signature that says for what it was made, and it was not for this.
absl::Status OtherType(absl::string_view scheme, absl::string_view field, absl::string_view is,
                       absl::string_view wanted, absl::string_view remedy) {
  return BadSignature(
      absl::StrCat("the ", field, " of this ", scheme, " is `", absl::CHexEscape(is.substr(0, 80)),
                   "`, and must be `", wanted, "`"),
      absl::StrCat("sign again: ", remedy));
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

const KnownKey* KeyRing::FindDsse(const v1::SignedDocument& document,
                                  const v1::Signature& signature) const {
  const SignedPart part = WhatIsSigned(document);
  const std::string pae = Pae(PayloadType(part.type), part.payload);
  bool tried = false;
  for (const KnownKey& known : keys_) {
    // A keyid narrows the search; a wrong one finds nothing, and so refuses.
    if (!signature.key_id().empty() && !known.Is(signature.key_id())) continue;
    tried = true;
    if (known.key.Verify(pae, signature.signature())) return &known;
  }
  if (!tried) {
    const bool ed25519 = signature.signature().size() == 64;
    const KnownKey* decoy = Decoy(ed25519 ? Algorithm::kEd25519 : Algorithm::kEcdsaP256);
    if (decoy != nullptr) static_cast<void>(decoy->key.Verify(pae, signature.signature()));
  }
  return nullptr;
}

const KnownKey* KeyRing::Decoy(Algorithm algorithm) const {
  auto it = std::find_if(keys_.begin(), keys_.end(), [&](const KnownKey& k) {
    return k.key.algorithm() == algorithm && k.key.application().empty();
  });
  return it == keys_.end() ? nullptr : &*it;
}

absl::StatusOr<const KnownKey*> KeyRing::FindSsh(const v1::SignedDocument& document,
                                                 const v1::Signature& signature) const {
  auto parsed = ParseSshSignature(signature.signature());
  if (!parsed.ok()) return parsed.status();
  const SignedPart part = WhatIsSigned(document);
  const std::string name_space = SshNamespace(part.type);
  if (parsed->name_space != name_space) {
    return OtherType("SSH signature", "namespace", parsed->name_space, name_space,
                     absl::StrCat("ssh-keygen -Y sign -n ", name_space, " -f KEY FILE"));
  }
  const KnownKey* known = ByRaw(parsed->key_raw);
  if (known == nullptr || parsed->application != known->key.application()) {
    const KnownKey* decoy = Decoy(parsed->algorithm);
    if (decoy != nullptr) {
      SshSignature as_decoy = *parsed;
      as_decoy.key_raw = decoy->key.raw();
      as_decoy.application.clear();
      static_cast<void>(VerifySshSignature(as_decoy, decoy->key, part.payload));
    }
  }
  if (known == nullptr) {
    return NoKey(absl::StrCat(
        "SSH key ", SshFingerprint(parsed->algorithm, parsed->key_raw, parsed->application)));
  }
  if (parsed->application != known->key.application()) {
    auto kind = [](absl::string_view application) {
      return application.empty() ? std::string("an ordinary key")
                                 : absl::StrCat("a security key for application `",
                                                absl::CHexEscape(application), "`");
    };
    return BadSignature(
        absl::StrCat("it was made by key `", known->name, "` as ", kind(parsed->application),
                     ", and the trust policy has it as ", kind(known->key.application())),
        "the line in the trust policy must be that of the key's own .pub file");
  }
  if (!VerifySshSignature(*parsed, known->key, part.payload)) return NotOfKey(*known);
  return known;
}

absl::StatusOr<const KnownKey*> KeyRing::FindMinisign(const v1::SignedDocument& document,
                                                      const v1::Signature& signature) const {
  auto parsed = ParseMinisignSignature(signature.signature());
  if (!parsed.ok()) return parsed.status();
  const SignedPart part = WhatIsSigned(document);
  const std::string comment = MinisignComment(part.type);
  if (parsed->trusted_comment != comment) {
    return OtherType("minisign signature", "trusted comment", parsed->trusted_comment, comment,
                     absl::StrCat("minisign -S -t ", comment, " -m FILE"));
  }
  const std::string hash = MinisignHash(part.payload);
  for (const KnownKey& known : keys_) {
    switch (CheckMinisignSignature(*parsed, known.key, hash)) {
      case MinisignCheck::kGood:
        return &known;
      case MinisignCheck::kComment:
        return BadSignature(
            absl::StrCat("its trusted comment was changed after key `", known.name, "` signed it"),
            absl::StrCat("sign again: minisign -S -t ", comment, " -m FILE"));
      case MinisignCheck::kNotThisKey:
        break;
    }
  }
  return nullptr;
}

absl::StatusOr<const KnownKey*> KeyRing::Find(const v1::SignedDocument& document,
                                              const v1::Signature& signature) const {
  switch (signature.scheme()) {
    case v1::SIGNATURE_SCHEME_SSHSIG:
      return FindSsh(document, signature);
    case v1::SIGNATURE_SCHEME_MINISIGN:
      return FindMinisign(document, signature);
    default:  // CheckShape let nothing else through
      break;
  }
  if (const KnownKey* found = FindDsse(document, signature)) return found;
  auto named = std::find_if(keys_.begin(), keys_.end(),
                            [&](const KnownKey& k) { return k.Is(signature.key_id()); });
  if (named != keys_.end()) return NotOfKey(*named);
  return nullptr;
}

absl::Status KeyRing::NoKey(absl::string_view who) const {
  return BadSignature(
      absl::StrCat(who.empty() ? "it was made by no key of the trust policy over this document"
                               : absl::StrCat("it was made by ", who,
                                              ", which is no key of the trust policy"),
                   "; the policy knows ",
                   absl::StrJoin(keys_, ", ",
                                 [](std::string* s, const KnownKey& k) {
                                   absl::StrAppend(s, "`", k.name, "`");
                                 })),
      "sign with a key that the policy grants, or add the key to the policy");
}

absl::StatusOr<std::vector<const KnownKey*>> KeyRing::Match(
    const v1::SignedDocument& document) const {
  std::vector<const KnownKey*> out;
  for (int i = 0; i < document.signatures_size(); ++i) {
    absl::StatusOr<const KnownKey*> found = Find(document, document.signatures(i));
    if (found.ok() && *found == nullptr) found = NoKey("");
    if (!found.ok()) {
      return api::Annotate(found.status(),
                           absl::StrCat("signature ", i + 1, " of ", document.signatures_size()));
    }
    if (std::find(out.begin(), out.end(), *found) != out.end()) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "duplicate-signer",
                        absl::StrCat("key `", (*found)->name,
                                     "` signed twice: it counts once, whatever the scheme, and a "
                                     "document carries each signature once"),
                        "remove the second signature, or sign anew");
    }
    out.push_back(*found);
  }
  return out;
}

std::vector<const KnownKey*> KeyRing::MatchKnown(const v1::SignedDocument& document) const {
  std::vector<const KnownKey*> out;
  for (const v1::Signature& signature : document.signatures()) {
    absl::StatusOr<const KnownKey*> found = Find(document, signature);
    if (!found.ok() || *found == nullptr) continue;
    if (std::find(out.begin(), out.end(), *found) == out.end()) out.push_back(*found);
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
                  document.type() == v1::DOCUMENT_TYPE_CONFIG_SET
                      ? "a set alone says nothing to a node: send the node's own file of the set"
                      : "sign it as the type it is meant to be: nodectl sign");
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
    switch (signature.scheme()) {
      case v1::SIGNATURE_SCHEME_DSSE:
        continue;
      case v1::SIGNATURE_SCHEME_SSHSIG:
      case v1::SIGNATURE_SCHEME_MINISIGN:
        if (signature.key_id().empty()) continue;
        return BadSignature(absl::StrCat("a ", SchemeName(signature.scheme()),
                                         " signature has no key id beside it"),
                            "leave key_id empty: the signature names its key itself");
      default:
        break;
    }
    return refuse("unknown-scheme",
                  absl::StrCat("signature scheme ", SchemeName(signature.scheme()),
                               " is not known to this version; it knows DSSE, SSHSIG and minisign "
                               "(Ed25519, ECDSA P-256)"),
                  "sign it with nodectl sign");
  }
  if (document.has_set_proof()) return CheckProofShape(document);
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
