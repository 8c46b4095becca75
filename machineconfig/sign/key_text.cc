#include "machineconfig/sign/key_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/ssh_wire.h"

namespace basalt::sign {
namespace {

constexpr size_t kMaxKeyText = 8192;
constexpr absl::string_view kPemBegin = "-----BEGIN PUBLIC KEY-----";
constexpr absl::string_view kPemEnd = "-----END PUBLIC KEY-----";
constexpr absl::string_view kForms =
    "use a PEM public key (openssl pkey -pubout), an OpenSSH line (ssh-ed25519 AAAA...; "
    "sk-ssh-ed25519@openssh.com AAAA... of a security key) or a minisign public key, of Ed25519 or "
    "ECDSA P-256";

absl::Status BadKey(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-key", what, kForms);
}

absl::Status Unsupported(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "unsupported-key", what, kForms);
}

absl::StatusOr<KeyText> ParsePem(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, kPemBegin) || !absl::ConsumeSuffix(&text, kPemEnd)) {
    return absl::StrContains(text, "PRIVATE KEY")
               ? BadKey("a private key stands where a public key belongs")
               : BadKey("the PEM text is not one `PUBLIC KEY` block");
  }
  std::string body = absl::StrReplaceAll(text, {{"\r", ""}, {"\n", ""}});
  auto der = Base64DecodeStrict(body);
  if (!der.ok()) return BadKey("the body of the PEM public key is not base64");
  return KeyText{KeyText::Kind::kSpkiDer, *std::move(der)};
}

// "ssh:" and what its owner added: it is shown and compared, so no character of it is unseen.
bool IsApplication(absl::string_view text) {
  return !text.empty() && text.size() <= 255 &&
         std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isgraph(c); });
}

absl::StatusOr<KeyText> ParseOpenSsh(absl::string_view type, absl::string_view base64) {
  auto decoded = Base64DecodeStrict(base64);
  if (!decoded.ok()) return BadKey("the OpenSSH public key is not base64");
  absl::string_view blob = *decoded;
  absl::string_view inner, curve, key, application;
  if (!TakeString(&blob, &inner) || inner != type) {
    return BadKey("the OpenSSH public key is damaged: its two type names differ");
  }
  const bool security_key = absl::StartsWith(type, "sk-");
  const bool p256 = absl::StrContains(type, "ecdsa-");
  if (p256 && (!TakeString(&blob, &curve) || curve != "nistp256")) {
    return BadKey("the OpenSSH public key is damaged: not the curve of its type");
  }
  if (!TakeString(&blob, &key) || (security_key && !TakeString(&blob, &application)) ||
      !blob.empty()) {
    return BadKey("the OpenSSH public key is damaged: wrong length");
  }
  if (security_key && !IsApplication(application)) {
    return BadKey("the application of the security key is empty, too long or not of plain letters");
  }
  return KeyText{p256 ? KeyText::Kind::kP256Point : KeyText::Kind::kEd25519Raw, std::string(key),
                 std::string(application)};
}

absl::StatusOr<KeyText> ParseMinisign(absl::string_view base64) {
  auto decoded = Base64DecodeStrict(base64);
  // "Ed", 8 bytes of minisign's own key number, 32 bytes of key.
  if (!decoded.ok() || decoded->size() != 42 || !absl::StartsWith(*decoded, "Ed")) {
    return BadKey("not a public key in a known form");
  }
  return KeyText{KeyText::Kind::kEd25519Raw, decoded->substr(10)};
}

}  // namespace

absl::StatusOr<KeyText> ParseKeyText(absl::string_view text) {
  if (text.size() > kMaxKeyText) return BadKey("a public key is not as long as this");
  text = absl::StripAsciiWhitespace(text);
  if (text.empty()) return BadKey("the public key is empty");
  if (absl::StartsWith(text, "-----")) return ParsePem(text);

  if (absl::StartsWith(text, "untrusted comment:")) {
    size_t newline = text.find('\n');
    if (newline == absl::string_view::npos)
      return BadKey("the minisign public key has no second line");
    return ParseMinisign(absl::StripAsciiWhitespace(text.substr(newline + 1)));
  }
  if (std::any_of(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\0'; })) {
    return BadKey("the public key has more than one line");
  }
  std::vector<absl::string_view> words = absl::StrSplit(text, absl::MaxSplits(' ', 2));
  if (words.size() >= 2) {
    if (words[0] == "ssh-ed25519" || words[0] == "ecdsa-sha2-nistp256" ||
        words[0] == "sk-ssh-ed25519@openssh.com" ||
        words[0] == "sk-ecdsa-sha2-nistp256@openssh.com") {
      return ParseOpenSsh(words[0], words[1]);
    }
    if (absl::StartsWith(words[0], "ssh-") || absl::StartsWith(words[0], "ecdsa-") ||
        absl::StartsWith(words[0], "sk-") || absl::StartsWith(words[0], "webauthn-")) {
      return Unsupported(
          absl::StrCat("keys of type ", words[0].substr(0, 64), " are not supported"));
    }
    return BadKey("not a public key in a known form");
  }
  return ParseMinisign(text);
}

}  // namespace basalt::sign
