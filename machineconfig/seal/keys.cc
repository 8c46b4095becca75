#include "machineconfig/seal/keys.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "machineconfig/seal/bech32.h"
#include "machineconfig/seal/primitives.h"

namespace basalt::seal {
namespace {

constexpr absl::string_view kRecipientPrefix = "age";
constexpr absl::string_view kIdentityPrefix = "age-secret-key-";

absl::Status Refuse(absl::string_view reason, absl::string_view what, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, reason, what, hint);
}

bool IsLowOrder(absl::string_view point) {
  // Any scalar does: X25519 clears the cofactor, so exactly the points of low order give zero.
  return !X25519(std::string(kKeySize, '\x42'), point);
}

template <typename T>
absl::StatusOr<std::vector<T>> ParseLines(absl::string_view text, absl::string_view file,
                                          absl::StatusOr<T> (*parse)(absl::string_view)) {
  std::vector<T> out;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    absl::StatusOr<T> one = parse(line);
    if (!one.ok()) {
      const absl::Status at = api::WithDetail(one.status(), "line", absl::StrCat(number));
      return api::WithDetail(api::Annotate(at, absl::StrCat(file, ":", number)), "file", file);
    }
    out.push_back(*std::move(one));
  }
  return out;
}

}  // namespace

absl::StatusOr<Recipient> Recipient::Parse(absl::string_view text) {
  constexpr absl::string_view kHint = "`nodectl recipient` or `age-keygen -y FILE` prints it";
  if (absl::StartsWithIgnoreCase(text, "age-secret-key-")) {
    return Refuse("bad-recipient", "this is a secret identity where a recipient belongs",
                  "give the recipient (age1...); if others saw the identity, make a new one");
  }
  std::optional<Bech32Text> decoded = Bech32Decode(text);
  if (!decoded) return Refuse("bad-recipient", "not a recipient: damaged or mistyped", kHint);
  if (decoded->prefix != kRecipientPrefix) {
    return Refuse("unsupported-recipient", "only X25519 recipients can be sealed to", kHint);
  }
  if (decoded->bytes.size() != kKeySize) return Refuse("bad-recipient", "wrong length", kHint);
  if (text[0] == 'A') return Refuse("bad-recipient", "a recipient is in lower case", kHint);
  if (IsLowOrder(decoded->bytes)) {
    return Refuse("weak-recipient", "the recipient is a point of low order: anyone could open it",
                  "make a new identity");
  }
  return Recipient(std::move(decoded->bytes));
}

std::string Recipient::Text() const { return Bech32Encode(kRecipientPrefix, raw_); }

Identity::Identity(SecretBytes raw) : raw_(std::move(raw)), recipient_(X25519Base(raw_.view())) {}

absl::StatusOr<Identity> Identity::Generate(Random random) {
  SecretBytes raw(kKeySize);
  if (!random(raw.data(), raw.size())) {
    return api::Coded(absl::StatusCode::kUnavailable, "no-randomness", "no random bytes to be had");
  }
  return Identity(std::move(raw));
}

absl::StatusOr<Identity> Identity::Parse(absl::string_view text) {
  constexpr absl::string_view kHint =
      "a line AGE-SECRET-KEY-1... as `nodectl init` and `age-keygen` write it";
  if (absl::StartsWith(text, "age-encryption.org/") || absl::StartsWith(text, "-----BEGIN AGE")) {
    return Refuse("unsupported-identity", "the identity file is itself encrypted",
                  "open it with `age -d` first, and give the result");
  }
  if (absl::StartsWith(text, "age1")) {
    return Refuse("bad-identity", "this is a recipient where a secret identity belongs", kHint);
  }
  std::optional<Bech32Text> decoded = Bech32Decode(text);
  if (!decoded) return Refuse("bad-identity", "not an identity: damaged or mistyped", kHint);
  SecretBytes raw(decoded->bytes);
  OPENSSL_cleanse(decoded->bytes.data(), decoded->bytes.size());
  if (decoded->prefix != kIdentityPrefix) {
    return Refuse("unsupported-identity", "only X25519 identities can be used", kHint);
  }
  if (raw.size() != kKeySize) return Refuse("bad-identity", "wrong length", kHint);
  if (text[0] != 'A') return Refuse("bad-identity", "an identity is in upper case", kHint);
  return Identity(std::move(raw));
}

SecretBytes Identity::Text() const {
  std::string lower = Bech32Encode(kIdentityPrefix, raw_.view());
  absl::AsciiStrToUpper(&lower);
  SecretBytes out(lower);
  OPENSSL_cleanse(lower.data(), lower.size());
  return out;
}

absl::StatusOr<std::vector<Recipient>> ParseRecipients(absl::string_view text,
                                                       absl::string_view file) {
  absl::StatusOr<std::vector<Recipient>> out = ParseLines<Recipient>(text, file, Recipient::Parse);
  if (out.ok() && out->empty()) {
    return Refuse("no-recipients", absl::StrCat(file, " holds no recipient"),
                  "a recipient a line: age1...");
  }
  return out;
}

absl::StatusOr<std::vector<Identity>> ParseIdentities(absl::string_view text,
                                                      absl::string_view file) {
  absl::StatusOr<std::vector<Identity>> out = ParseLines<Identity>(text, file, Identity::Parse);
  if (out.ok() && out->empty()) {
    return Refuse("no-identities", absl::StrCat(file, " holds no identity"),
                  "an identity a line: AGE-SECRET-KEY-1...");
  }
  return out;
}

}  // namespace basalt::seal
