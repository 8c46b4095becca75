// Documents to and from DSSE JSON (https://github.com/secure-systems-lab/dsse/blob/master/
// envelope.md), read strictly: what two readers could understand differently is refused.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/config_set.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/dsse_reader.h"

namespace basalt::sign {
namespace {

// 1 MiB of payload in base64, 16 signatures, the proof of a set, and white space.
constexpr size_t kMaxEnvelopeJson = 2 << 20;
// Of a chain; a policy is a few KiB.
constexpr size_t kMaxChainJson = 8 << 20;

struct DetachedScheme {
  absl::string_view word;
  v1::SignatureScheme scheme;
};
constexpr DetachedScheme kDetachedSchemes[] = {{"sshsig", v1::SIGNATURE_SCHEME_SSHSIG},
                                               {"minisign", v1::SIGNATURE_SCHEME_MINISIGN}};

absl::StatusOr<v1::DocumentType> TypeOf(absl::string_view payload_type) {
  for (int i = v1::DocumentType_MIN; i <= v1::DocumentType_MAX; ++i) {
    auto type = static_cast<v1::DocumentType>(i);
    if (!TypeWord(type).empty() && PayloadType(type) == payload_type) return type;
  }
  return BadEnvelope("wrong-type", absl::StrCat("payloadType `", payload_type.substr(0, 80),
                                                "` is none that this version knows"));
}

absl::StatusOr<v1::Signature> ToDetached(const SignatureText& signature) {
  if (!signature.sig || !signature.scheme) {
    return BadEnvelope("bad-envelope",
                       absl::StrCat(kDetachedField, ": `scheme` and `sig` belong together"));
  }
  v1::Signature out;
  for (const DetachedScheme& known : kDetachedSchemes) {
    if (known.word == *signature.scheme) out.set_scheme(known.scheme);
  }
  if (out.scheme() == v1::SIGNATURE_SCHEME_UNSPECIFIED) {
    return BadEnvelope("unknown-scheme",
                       absl::StrCat("signature scheme `", signature.scheme->substr(0, 64),
                                    "` is not known to this version; it knows sshsig and "
                                    "minisign"));
  }
  auto bytes = Base64DecodeStrict(*signature.sig);
  if (!bytes.ok()) {
    return BadEnvelope("bad-envelope",
                       absl::StrCat(kDetachedField, ".sig: ", bytes.status().message()));
  }
  out.set_signature(*std::move(bytes));
  return out;
}

absl::StatusOr<std::string> Payload(const std::optional<std::string>& base64,
                                    absl::string_view where) {
  auto payload = Base64DecodeStrict(*base64);
  if (!payload.ok()) {
    return BadEnvelope("bad-envelope", absl::StrCat(where, ": ", payload.status().message()));
  }
  if (payload->size() > kMaxPayload) {
    return BadEnvelope("too-large", absl::StrCat("the payload has ", payload->size(),
                                                 " bytes; at most ", kMaxPayload));
  }
  return *std::move(payload);
}

absl::StatusOr<v1::Signature> ToDsse(const SignatureText& signature) {
  if (!signature.sig) return BadEnvelope("bad-envelope", "a signature without `sig`");
  auto bytes = Base64DecodeStrict(*signature.sig);
  if (!bytes.ok()) {
    return BadEnvelope("bad-envelope", absl::StrCat("signatures.sig: ", bytes.status().message()));
  }
  v1::Signature out;
  out.set_scheme(v1::SIGNATURE_SCHEME_DSSE);
  out.set_signature(*std::move(bytes));
  if (signature.keyid && !signature.keyid->empty()) {
    auto digest = Digest::Parse(*signature.keyid);
    if (!digest.ok() || signature.keyid->size() != 64) {
      return BadEnvelope("bad-envelope",
                         "signatures.keyid is not the lower-hex sha256 of a key's DER public key");
    }
    out.set_key_id(digest->bytes.data(), digest->bytes.size());
  }
  return out;
}

absl::Status ToSignatures(const EnvelopeText& envelope, v1::SignedDocument& out) {
  if (envelope.detached && envelope.detached->empty()) {
    return BadEnvelope("bad-envelope",
                       absl::StrCat("field `", kDetachedField, "` is empty: leave it out"));
  }
  if (envelope.signatures->size() + (envelope.detached ? envelope.detached->size() : 0) >
      static_cast<size_t>(kMaxSignatures)) {
    return BadEnvelope("too-many-signatures",
                       absl::StrCat("more than ", kMaxSignatures, " signatures"));
  }
  for (const SignatureText& signature : *envelope.signatures) {
    auto made = ToDsse(signature);
    if (!made.ok()) return made.status();
    *out.add_signatures() = *std::move(made);
  }
  if (!envelope.detached) return absl::OkStatus();
  for (const SignatureText& signature : *envelope.detached) {
    auto made = ToDetached(signature);
    if (!made.ok()) return made.status();
    *out.add_signatures() = *std::move(made);
  }
  return absl::OkStatus();
}

// The document becomes the file; what was read as its payload is the set.
absl::Status ToMember(const MemberText& member, v1::SignedDocument& out) {
  if (!member.payload || !member.payload_type || !member.index || !member.path) {
    return BadEnvelope(
        "bad-envelope",
        absl::StrCat("`", kMemberField, "` has payload, payloadType, index and path, all four"));
  }
  if (out.type() != v1::DOCUMENT_TYPE_CONFIG_SET) {
    return BadEnvelope("bad-envelope",
                       absl::StrCat("`", kMemberField, "` stands beside a configset only"));
  }
  auto type = TypeOf(*member.payload_type);
  if (!type.ok()) return type.status();
  if (*type != v1::DOCUMENT_TYPE_MACHINE_CONFIG) {
    return BadEnvelope("wrong-type", absl::StrCat("a set has machineconfigs, and `", kMemberField,
                                                  "` is a ", TypeWord(*type)));
  }
  auto payload = Payload(member.payload, absl::StrCat(kMemberField, ".payload"));
  if (!payload.ok()) return payload.status();
  v1::SetProof& proof = *out.mutable_set_proof();
  proof.set_set_payload(out.payload());
  proof.set_index(*member.index);
  for (const std::string& base64 : *member.path) {
    auto hash = Base64DecodeStrict(base64);
    if (!hash.ok() || hash->size() != Digest().bytes.size()) {
      return BadEnvelope("bad-envelope",
                         absl::StrCat(kMemberField, ".path holds base64 of 32 bytes each"));
    }
    proof.add_path(*std::move(hash));
  }
  out.set_type(*type);
  out.set_payload(*std::move(payload));
  return absl::OkStatus();
}

absl::StatusOr<v1::SignedDocument> ToDocument(const EnvelopeText& envelope) {
  for (const auto& [name, present] :
       {std::pair<const char*, bool>{"payload", envelope.payload.has_value()},
        {"payloadType", envelope.payload_type.has_value()},
        {"signatures", envelope.signatures.has_value()}}) {
    if (!present) {
      return BadEnvelope("bad-envelope", absl::StrCat("field `", name, "` is missing"));
    }
  }
  v1::SignedDocument out;
  auto type = TypeOf(*envelope.payload_type);
  if (!type.ok()) return type.status();
  out.set_type(*type);
  auto payload = Payload(envelope.payload, "payload");
  if (!payload.ok()) return payload.status();
  out.set_payload(*std::move(payload));
  if (absl::Status s = ToSignatures(envelope, out); !s.ok()) return s;
  if (envelope.member) {
    if (absl::Status s = ToMember(*envelope.member, out); !s.ok()) return s;
  }
  return out;
}

absl::string_view DetachedWord(v1::SignatureScheme scheme) {
  for (const DetachedScheme& known : kDetachedSchemes) {
    if (known.scheme == scheme) return known.word;
  }
  return "";
}

std::string MemberJson(const v1::SignedDocument& document, absl::string_view indent) {
  const v1::SetProof& proof = document.set_proof();
  std::string out =
      absl::StrCat(indent, "  \"", kMemberField, "\": {\n", indent, "    \"payload\": \"",
                   Base64Encode(document.payload()), "\",\n", indent, "    \"payloadType\": \"",
                   PayloadType(document.type()), "\",\n", indent, "    \"index\": ", proof.index(),
                   ",\n", indent, "    \"path\": [");
  absl::string_view separator = "\n";
  for (const std::string& hash : proof.path()) {
    absl::StrAppend(&out, separator, indent, "      \"", Base64Encode(hash), "\"");
    separator = ",\n";
  }
  if (!proof.path().empty()) absl::StrAppend(&out, "\n", indent, "    ");
  return absl::StrCat(out, "]\n", indent, "  }");
}

// Base64, hex, numbers and fixed words: nothing here needs escaping.
std::string Envelope(const v1::SignedDocument& document, absl::string_view indent) {
  const SignedPart part = WhatIsSigned(document);
  std::string out = absl::StrCat("{\n", indent, "  \"payload\": \"", Base64Encode(part.payload),
                                 "\",\n", indent, "  \"payloadType\": \"", PayloadType(part.type),
                                 "\",\n", indent, "  \"signatures\": [");
  absl::string_view separator = "\n";
  for (const v1::Signature& signature : document.signatures()) {
    if (!DetachedWord(signature.scheme()).empty()) continue;
    absl::StrAppend(&out, separator, indent, "    {");
    if (!signature.key_id().empty()) {
      absl::StrAppend(&out, "\"keyid\": \"", HexEncode(signature.key_id()), "\", ");
    }
    absl::StrAppend(&out, "\"sig\": \"", Base64Encode(signature.signature()), "\"}");
    separator = ",\n";
  }
  absl::StrAppend(&out, "\n", indent, "  ]");
  bool any = false;
  for (const v1::Signature& signature : document.signatures()) {
    const absl::string_view word = DetachedWord(signature.scheme());
    if (word.empty()) continue;
    if (!any) absl::StrAppend(&out, ",\n", indent, "  \"", kDetachedField, "\": [");
    absl::StrAppend(&out, any ? ",\n" : "\n", indent, "    {\"scheme\": \"", word,
                    "\", \"sig\": \"", Base64Encode(signature.signature()), "\"}");
    any = true;
  }
  if (any) absl::StrAppend(&out, "\n", indent, "  ]");
  if (document.has_set_proof()) absl::StrAppend(&out, ",\n", MemberJson(document, indent));
  absl::StrAppend(&out, "\n", indent, "}");
  return out;
}

}  // namespace

std::string ToDsseJson(const v1::SignedDocument& document) { return Envelope(document, "") + "\n"; }

absl::StatusOr<v1::SignedDocument> FromDsseJson(absl::string_view json) {
  if (json.size() > kMaxEnvelopeJson) {
    return BadEnvelope("too-large", absl::StrCat("the envelope has ", json.size(),
                                                 " bytes; at most ", kMaxEnvelopeJson));
  }
  auto envelopes = ReadEnvelopes(json, /*chain=*/false);
  if (!envelopes.ok()) return envelopes.status();
  return ToDocument(envelopes->front());
}

std::string ChainToJson(const v1::TrustChain& chain) {
  std::string out = "[";
  absl::string_view separator = "\n  ";
  for (const v1::SignedDocument& policy : chain.policies()) {
    absl::StrAppend(&out, separator, Envelope(policy, "  "));
    separator = ",\n  ";
  }
  return out + "\n]\n";
}

absl::StatusOr<v1::TrustChain> ChainFromJson(absl::string_view json) {
  if (json.size() > kMaxChainJson) {
    return BadEnvelope("too-large", absl::StrCat("the chain has ", json.size(), " bytes; at most ",
                                                 kMaxChainJson));
  }
  auto envelopes = ReadEnvelopes(json, /*chain=*/true);
  if (!envelopes.ok()) return envelopes.status();
  v1::TrustChain chain;
  for (size_t i = 0; i < envelopes->size(); ++i) {
    auto document = ToDocument((*envelopes)[i]);
    if (!document.ok()) {
      return api::Annotate(document.status(), absl::StrCat("envelope ", i + 1));
    }
    *chain.add_policies() = *std::move(document);
  }
  return chain;
}

}  // namespace basalt::sign
