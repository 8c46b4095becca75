#include "machineconfig/sign/dsse_reader.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/config_set.h"
#include "machineconfig/sign/document.h"

namespace basalt::sign {
namespace {

constexpr size_t kMaxEnvelopes = 1024;

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
  bool number_unsigned(number_unsigned_t value) override {
    if (at_ != At::kIndex) return Unexpected("a number");
    Member().index = value;
    at_ = At::kMember;
    return true;
  }
  bool number_float(number_float_t, const string_t&) override { return Unexpected("a number"); }
  bool binary(binary_t&) override { return Unexpected("binary"); }

  bool string(string_t& value) override {
    if (at_ == At::kPath) {
      std::vector<std::string>& path = *Member().path;
      if (path.size() >= kMaxSetPath) {
        return Fail("bad-envelope", absl::StrCat(kMemberField, ".path is longer than one can be"));
      }
      path.push_back(std::move(value));
      return true;
    }
    if (at_ != At::kValue) return Unexpected("a string");
    *slot_ = std::move(value);
    slot_ = nullptr;
    at_ = in_signature_ ? At::kSignature : in_member_ ? At::kMember : At::kEnvelope;
    return true;
  }

  bool start_object(std::size_t) override {
    if (at_ == At::kBeforeEnvelope || at_ == At::kChain) {
      if (envelopes.size() >= kMaxEnvelopes) return Fail("too-large", "too many envelopes");
      envelopes.emplace_back();
      at_ = At::kEnvelope;
      return true;
    }
    if (at_ == At::kBeforeMember) {
      in_member_ = true;
      at_ = At::kMember;
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
    if (at_ == At::kSignature) {
      SignatureText& signature = Signatures().back();
      return Text(name, name == "sig"                   ? &signature.sig
                        : !detached_ && name == "keyid" ? &signature.keyid
                        : detached_ && name == "scheme" ? &signature.scheme
                                                        : nullptr);
    }
    if (at_ == At::kMember) {
      MemberText& member = Member();
      if (name == "index") {
        if (member.index) return Twice(name);
        at_ = At::kIndex;
        return true;
      }
      if (name == "path") {
        if (member.path) return Twice(name);
        member.path.emplace();
        at_ = At::kBeforePath;
        return true;
      }
      return Text(name, name == "payload"       ? &member.payload
                        : name == "payloadType" ? &member.payload_type
                                                : nullptr);
    }
    if (name == "signatures" || name == kDetachedField) {
      detached_ = name == kDetachedField;
      auto& list = detached_ ? envelope.detached : envelope.signatures;
      if (list) return Twice(name);
      list.emplace();
      at_ = At::kBeforeSignatures;
      return true;
    }
    if (name == kMemberField) {
      if (envelope.member) return Twice(name);
      envelope.member.emplace();
      at_ = At::kBeforeMember;
      return true;
    }
    return Text(name, name == "payload"       ? &envelope.payload
                      : name == "payloadType" ? &envelope.payload_type
                                              : nullptr);
  }

  bool end_object() override {
    if (at_ == At::kSignature) {
      in_signature_ = false;
      at_ = At::kSignatures;
    } else if (at_ == At::kMember) {
      in_member_ = false;
      at_ = At::kEnvelope;
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
    } else if (at_ == At::kBeforePath) {
      at_ = At::kPath;
    } else {
      return Unexpected("an array");
    }
    return true;
  }

  bool end_array() override {
    at_ = at_ == At::kSignatures ? At::kEnvelope : at_ == At::kPath ? At::kMember : At::kEnd;
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
    kBeforeMember,
    kMember,
    kIndex,
    kBeforePath,
    kPath,
    kValue,
    kEnd,
  };

  bool Fail(absl::string_view reason, absl::string_view what) {
    if (status.ok()) status = BadEnvelope(reason, what);
    return false;
  }
  std::vector<SignatureText>& Signatures() {
    EnvelopeText& envelope = envelopes.back();
    return detached_ ? *envelope.detached : *envelope.signatures;
  }
  MemberText& Member() { return *envelopes.back().member; }
  bool Twice(const std::string& name) {
    return Fail("bad-envelope", absl::StrCat("field `", name, "` stands twice"));
  }
  // The value of `name` goes to `slot`; nullptr: there is no such field here.
  bool Text(const std::string& name, std::optional<std::string>* slot) {
    if (slot == nullptr) {
      return Fail("bad-envelope", absl::StrCat("unknown field `", name.substr(0, 64), "`"));
    }
    if (slot->has_value()) return Twice(name);
    slot->emplace();
    slot_ = &**slot;
    at_ = At::kValue;
    return true;
  }
  bool Unexpected(absl::string_view what) {
    return Fail("bad-envelope", absl::StrCat(what, " where the envelope has none"));
  }

  At at_;
  bool chain_ = false;
  bool in_signature_ = false;
  bool in_member_ = false;
  bool detached_ = false;  // which of the two lists
  std::string* slot_ = nullptr;
};

}  // namespace

absl::Status BadEnvelope(absl::string_view reason, absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, reason, what,
                    "expected a DSSE envelope as nodectl sign writes it: payload, payloadType and "
                    "signatures with keyid and sig");
}

absl::StatusOr<std::vector<EnvelopeText>> ReadEnvelopes(absl::string_view json, bool chain) {
  // The library skips a byte order mark; other readers do not (RFC 8259 section 8.1).
  if (absl::StartsWith(json, "\xef\xbb\xbf")) {
    return BadEnvelope("bad-envelope", "not JSON: it begins with a byte order mark");
  }
  EnvelopeReader reader(chain);
  bool ok = nlohmann::json::sax_parse(json.begin(), json.end(), &reader,
                                      nlohmann::json::input_format_t::json, /*strict=*/true);
  if (!reader.status.ok()) return reader.status;
  if (!ok) return BadEnvelope("bad-envelope", "not JSON");
  return std::move(reader.envelopes);
}

}  // namespace basalt::sign
