// Documents to and from DSSE JSON (https://github.com/secure-systems-lab/dsse/blob/master/
// envelope.md), read strictly: what two readers could understand differently is refused.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/document.h"

namespace basalt::sign {
namespace {

// 1 MiB of payload in base64, 16 signatures, and white space.
constexpr size_t kMaxEnvelopeJson = 2 << 20;
// Of a chain; a policy is a few KiB.
constexpr size_t kMaxChainJson = 8 << 20;
constexpr size_t kMaxEnvelopes = 1024;

absl::Status Bad(absl::string_view reason, absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, reason, what,
                    "expected a DSSE envelope as nodectl sign writes it: payload, payloadType and "
                    "signatures with keyid and sig");
}

// Signatures in a form of their own (SSHSIG, minisign) are none of DSSE's: another reader would
// take them for broken ones. They stand in a list of ours, which is there only when it is needed,
// so that a document with DSSE signatures alone is an envelope like everybody's.
constexpr absl::string_view kDetached = "detachedSignatures";

struct DetachedScheme {
  absl::string_view word;
  v1::SignatureScheme scheme;
};
constexpr DetachedScheme kDetachedSchemes[] = {{"sshsig", v1::SIGNATURE_SCHEME_SSHSIG},
                                               {"minisign", v1::SIGNATURE_SCHEME_MINISIGN}};

struct SignatureText {
  std::optional<std::string> keyid, scheme, sig;
};
struct EnvelopeText {
  std::optional<std::string> payload, payload_type;
  std::optional<std::vector<SignatureText>> signatures, detached;
};

// A pull of exactly the expected shape out of nlohmann's SAX events. No tree is built, so neither
// depth nor repeated keys can do anything: each event is either the next expected one or an error.
class EnvelopeReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit EnvelopeReader(bool chain) : at_(chain ? At::kBeforeChain : At::kBeforeEnvelope) {
    chain_ = chain;
  }

  std::vector<EnvelopeText> envelopes;
  absl::Status status;

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { return Unexpected("a number"); }
  bool number_unsigned(number_unsigned_t) override { return Unexpected("a number"); }
  bool number_float(number_float_t, const string_t&) override { return Unexpected("a number"); }
  bool binary(binary_t&) override { return Unexpected("binary"); }

  bool string(string_t& value) override {
    if (at_ != At::kValue) return Unexpected("a string");
    *slot_ = std::move(value);
    slot_ = nullptr;
    at_ = in_signature_ ? At::kSignature : At::kEnvelope;
    return true;
  }

  bool start_object(std::size_t) override {
    if (at_ == At::kBeforeEnvelope || at_ == At::kChain) {
      if (envelopes.size() >= kMaxEnvelopes) return Fail("too-large", "too many envelopes");
      envelopes.emplace_back();
      at_ = At::kEnvelope;
      return true;
    }
    if (at_ == At::kSignatures) {
      std::vector<SignatureText>& signatures = Signatures();
      if (signatures.size() > static_cast<size_t>(kMaxSignatures)) {
        return Fail("too-many-signatures",
                    absl::StrCat("more than ", kMaxSignatures, " signatures"));
      }
      signatures.emplace_back();
      in_signature_ = true;
      at_ = At::kSignature;
      return true;
    }
    return Unexpected("an object");
  }

  bool key(string_t& name) override {
    EnvelopeText& envelope = envelopes.back();
    std::optional<std::string>* slot = nullptr;
    if (at_ == At::kSignature) {
      SignatureText& signature = Signatures().back();
      slot = name == "sig"                   ? &signature.sig
             : !detached_ && name == "keyid" ? &signature.keyid
             : detached_ && name == "scheme" ? &signature.scheme
                                             : nullptr;
    } else if (name == "signatures" || name == kDetached) {
      detached_ = name == kDetached;
      auto& list = detached_ ? envelope.detached : envelope.signatures;
      if (list) return Fail("bad-envelope", absl::StrCat("field `", name, "` stands twice"));
      list.emplace();
      at_ = At::kBeforeSignatures;
      return true;
    } else {
      slot = name == "payload"       ? &envelope.payload
             : name == "payloadType" ? &envelope.payload_type
                                     : nullptr;
    }
    if (slot == nullptr) {
      return Fail("bad-envelope", absl::StrCat("unknown field `", name.substr(0, 64), "`"));
    }
    if (slot->has_value()) {
      return Fail("bad-envelope", absl::StrCat("field `", name, "` stands twice"));
    }
    slot->emplace();
    slot_ = &**slot;
    at_ = At::kValue;
    return true;
  }

  bool end_object() override {
    if (at_ == At::kSignature) {
      in_signature_ = false;
      at_ = At::kSignatures;
    } else {
      at_ = chain_ ? At::kChain : At::kEnd;
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (at_ == At::kBeforeChain) {
      at_ = At::kChain;
    } else if (at_ == At::kBeforeSignatures) {
      at_ = At::kSignatures;
    } else {
      return Unexpected("an array");
    }
    return true;
  }

  bool end_array() override {
    at_ = at_ == At::kSignatures ? At::kEnvelope : At::kEnd;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    return Fail("bad-envelope", absl::StrCat("not JSON: wrong or missing text at byte ", position));
  }

 private:
  enum class At {
    kBeforeChain,
    kChain,
    kBeforeEnvelope,
    kEnvelope,
    kBeforeSignatures,
    kSignatures,
    kSignature,
    kValue,
    kEnd,
  };

  bool Fail(absl::string_view reason, absl::string_view what) {
    if (status.ok()) status = Bad(reason, what);
    return false;
  }
  std::vector<SignatureText>& Signatures() {
    EnvelopeText& envelope = envelopes.back();
    return detached_ ? *envelope.detached : *envelope.signatures;
  }
  bool Unexpected(absl::string_view what) {
    return Fail("bad-envelope", absl::StrCat(what, " where the envelope has none"));
  }

  At at_;
  bool chain_ = false;
  bool in_signature_ = false;
  bool detached_ = false;  // which of the two lists
  std::string* slot_ = nullptr;
};

absl::StatusOr<std::vector<EnvelopeText>> Read(absl::string_view json, bool chain) {
  // The library skips a byte order mark; other readers do not (RFC 8259 section 8.1).
  if (absl::StartsWith(json, "\xef\xbb\xbf")) {
    return Bad("bad-envelope", "not JSON: it begins with a byte order mark");
  }
  EnvelopeReader reader(chain);
  bool ok = nlohmann::json::sax_parse(json.begin(), json.end(), &reader,
                                      nlohmann::json::input_format_t::json, /*strict=*/true);
  if (!reader.status.ok()) return reader.status;
  if (!ok) return Bad("bad-envelope", "not JSON");
  return std::move(reader.envelopes);
}

absl::StatusOr<v1::DocumentType> TypeOf(absl::string_view payload_type) {
  for (int i = v1::DocumentType_MIN; i <= v1::DocumentType_MAX; ++i) {
    auto type = static_cast<v1::DocumentType>(i);
    if (!TypeWord(type).empty() && PayloadType(type) == payload_type) return type;
  }
  return Bad("wrong-type", absl::StrCat("payloadType `", payload_type.substr(0, 80),
                                        "` is none that this version knows"));
}

absl::StatusOr<v1::Signature> ToDetached(const SignatureText& signature) {
  if (!signature.sig || !signature.scheme) {
    return Bad("bad-envelope", absl::StrCat(kDetached, ": `scheme` and `sig` belong together"));
  }
  v1::Signature out;
  for (const DetachedScheme& known : kDetachedSchemes) {
    if (known.word == *signature.scheme) out.set_scheme(known.scheme);
  }
  if (out.scheme() == v1::SIGNATURE_SCHEME_UNSPECIFIED) {
    return Bad("unknown-scheme", absl::StrCat("signature scheme `", signature.scheme->substr(0, 64),
                                              "` is not known to this version; it knows sshsig and "
                                              "minisign"));
  }
  auto bytes = Base64DecodeStrict(*signature.sig);
  if (!bytes.ok()) {
    return Bad("bad-envelope", absl::StrCat(kDetached, ".sig: ", bytes.status().message()));
  }
  out.set_signature(*std::move(bytes));
  return out;
}

absl::StatusOr<v1::SignedDocument> ToDocument(EnvelopeText& envelope) {
  for (const auto& [name, present] :
       {std::pair<const char*, bool>{"payload", envelope.payload.has_value()},
        {"payloadType", envelope.payload_type.has_value()},
        {"signatures", envelope.signatures.has_value()}}) {
    if (!present) return Bad("bad-envelope", absl::StrCat("field `", name, "` is missing"));
  }
  v1::SignedDocument out;
  auto type = TypeOf(*envelope.payload_type);
  if (!type.ok()) return type.status();
  out.set_type(*type);
  auto payload = Base64DecodeStrict(*envelope.payload);
  if (!payload.ok()) {
    return Bad("bad-envelope", absl::StrCat("payload: ", payload.status().message()));
  }
  if (payload->size() > kMaxPayload) {
    return Bad("too-large",
               absl::StrCat("the payload has ", payload->size(), " bytes; at most ", kMaxPayload));
  }
  out.set_payload(*std::move(payload));
  if (envelope.detached && envelope.detached->empty()) {
    return Bad("bad-envelope", absl::StrCat("field `", kDetached, "` is empty: leave it out"));
  }
  if (envelope.signatures->size() + (envelope.detached ? envelope.detached->size() : 0) >
      static_cast<size_t>(kMaxSignatures)) {
    return Bad("too-many-signatures", absl::StrCat("more than ", kMaxSignatures, " signatures"));
  }
  for (SignatureText& signature : *envelope.signatures) {
    if (!signature.sig) return Bad("bad-envelope", "a signature without `sig`");
    auto bytes = Base64DecodeStrict(*signature.sig);
    if (!bytes.ok()) {
      return Bad("bad-envelope", absl::StrCat("signatures.sig: ", bytes.status().message()));
    }
    std::string key_id;
    if (signature.keyid && !signature.keyid->empty()) {
      auto digest = Digest::Parse(*signature.keyid);
      if (!digest.ok() || signature.keyid->size() != 64) {
        return Bad("bad-envelope",
                   "signatures.keyid is not the lower-hex sha256 of a key's DER public key");
      }
      key_id.assign(digest->bytes.begin(), digest->bytes.end());
    }
    v1::Signature* made = out.add_signatures();
    made->set_scheme(v1::SIGNATURE_SCHEME_DSSE);
    made->set_signature(*std::move(bytes));
    made->set_key_id(key_id);
  }
  if (envelope.detached) {
    for (const SignatureText& signature : *envelope.detached) {
      auto made = ToDetached(signature);
      if (!made.ok()) return made.status();
      *out.add_signatures() = *std::move(made);
    }
  }
  return out;
}

absl::string_view DetachedWord(v1::SignatureScheme scheme) {
  for (const DetachedScheme& known : kDetachedSchemes) {
    if (known.scheme == scheme) return known.word;
  }
  return "";
}

// Base64, hex and fixed words: nothing here needs escaping.
std::string Envelope(const v1::SignedDocument& document, absl::string_view indent) {
  std::string out =
      absl::StrCat("{\n", indent, "  \"payload\": \"", Base64Encode(document.payload()), "\",\n",
                   indent, "  \"payloadType\": \"", PayloadType(document.type()), "\",\n", indent,
                   "  \"signatures\": [");
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
    if (!any) absl::StrAppend(&out, ",\n", indent, "  \"", kDetached, "\": [");
    absl::StrAppend(&out, any ? ",\n" : "\n", indent, "    {\"scheme\": \"", word,
                    "\", \"sig\": \"", Base64Encode(signature.signature()), "\"}");
    any = true;
  }
  if (any) absl::StrAppend(&out, "\n", indent, "  ]");
  absl::StrAppend(&out, "\n", indent, "}");
  return out;
}

}  // namespace

std::string ToDsseJson(const v1::SignedDocument& document) { return Envelope(document, "") + "\n"; }

absl::StatusOr<v1::SignedDocument> FromDsseJson(absl::string_view json) {
  if (json.size() > kMaxEnvelopeJson) {
    return Bad("too-large", absl::StrCat("the envelope has ", json.size(), " bytes; at most ",
                                         kMaxEnvelopeJson));
  }
  auto envelopes = Read(json, /*chain=*/false);
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
    return Bad("too-large",
               absl::StrCat("the chain has ", json.size(), " bytes; at most ", kMaxChainJson));
  }
  auto envelopes = Read(json, /*chain=*/true);
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
