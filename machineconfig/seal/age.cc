#include "machineconfig/seal/age.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/seal/header.h"
#include "machineconfig/seal/limits.h"
#include "machineconfig/seal/primitives.h"
#include "machineconfig/seal/stream.h"

namespace basalt::seal {
namespace {

constexpr absl::string_view kType = "X25519";
constexpr absl::string_view kInfo = "age-encryption.org/v1/X25519";
constexpr size_t kFileKey = 16;
constexpr Nonce kZeroNonce{};  // each wrap key is used once

absl::Status Refuse(absl::string_view reason, absl::string_view what, absl::string_view hint = "") {
  return api::Coded(absl::StatusCode::kInvalidArgument, reason, what, hint);
}

absl::Status NoRandomness() {
  return api::Coded(absl::StatusCode::kUnavailable, "no-randomness", "no random bytes to be had");
}

absl::StatusOr<Stanza> Wrap(const SecretBytes& file_key, const Recipient& recipient,
                            Random random) {
  SecretBytes ephemeral(kKeySize);
  if (!random(ephemeral.data(), ephemeral.size())) return NoRandomness();
  const std::string share = X25519Base(ephemeral.view());
  std::optional<SecretBytes> shared = X25519(ephemeral.view(), recipient.raw());
  if (!shared) return Refuse("weak-recipient", "a recipient is a point of low order");
  Stanza out{.arguments = {std::string(kType), Base64Raw(share)}};
  AeadSeal(Hkdf(shared->view(), absl::StrCat(share, recipient.raw()), kInfo), kZeroNonce,
           file_key.view(), out.body);
  return out;
}

// What must hold of every stanza before a key is tried on any.
absl::Status CheckStanzas(const std::vector<Stanza>& stanzas) {
  for (const Stanza& stanza : stanzas) {
    // A passphrase stands alone: whoever mixes it in could pretend to know it.
    if (stanza.arguments[0] == "scrypt" && stanzas.size() > 1) {
      return Refuse("bad-age-header", "a passphrase stanza is not alone in the age file");
    }
    if (stanza.arguments[0] != kType) continue;
    if (stanza.arguments.size() != 2) {
      return Refuse("bad-age-header", "an X25519 stanza has not exactly two arguments");
    }
    std::optional<std::string> share = Base64RawDecode(stanza.arguments[1]);
    if (!share || share->size() != kKeySize) {
      return Refuse("bad-age-header", "the share of an X25519 stanza is not 32 bytes of base64");
    }
    // Another length could be made to open under several keys.
    if (stanza.body.size() != kFileKey + kTagSize) {
      return Refuse("bad-age-header", "an X25519 stanza does not wrap a file key of 16 bytes");
    }
  }
  return absl::OkStatus();
}

// nullopt: not for this identity.
absl::StatusOr<std::optional<SecretBytes>> Unwrap(const Stanza& stanza, const Identity& identity) {
  const std::string share = *Base64RawDecode(stanza.arguments[1]);  // checked above
  std::optional<SecretBytes> shared = X25519(identity.raw(), share);
  if (!shared) return Refuse("bad-age-header", "the share of an X25519 stanza is of low order");
  SecretBytes file_key(kFileKey);
  const SecretBytes key =
      Hkdf(shared->view(), absl::StrCat(share, identity.recipient().raw()), kInfo);
  if (!AeadOpen(key, kZeroNonce, stanza.body, file_key.data())) return std::nullopt;
  return file_key;
}

absl::StatusOr<SecretBytes> FileKey(const Header& header, absl::Span<const Identity> identities) {
  if (absl::Status s = CheckStanzas(header.stanzas); !s.ok()) return s;
  int ours = 0;
  for (const Stanza& stanza : header.stanzas) {
    if (stanza.arguments[0] != kType) continue;
    ++ours;
    for (const Identity& identity : identities) {
      absl::StatusOr<std::optional<SecretBytes>> key = Unwrap(stanza, identity);
      if (!key.ok()) return key.status();
      if (*key) return **std::move(key);
    }
  }
  if (header.stanzas[0].arguments[0] == "scrypt") {
    return api::Coded(absl::StatusCode::kPermissionDenied, "no-matching-identity",
                      "it is sealed with a passphrase, not to a recipient",
                      "seal it to a recipient: nodectl seal, or age -a -r age1...");
  }
  return api::Coded(absl::StatusCode::kPermissionDenied, "no-matching-identity",
                    absl::StrCat("none of the ", identities.size(),
                                 " identities opens it; X25519 recipients it is sealed to: ", ours),
                    "give the identity of one of its recipients, or seal the value again");
}

}  // namespace

absl::StatusOr<std::string> Encrypt(absl::string_view plaintext,
                                    absl::Span<const Recipient> recipients, Random random) {
  if (plaintext.size() > kMaxPlaintext) return TooLarge("what is to be sealed", kMaxPlaintext);
  if (recipients.empty()) {
    return Refuse("no-recipients", "nobody could open it: there is no recipient",
                  "--recipient age1..., -R FILE, or `recipients:` in context.yaml");
  }
  if (recipients.size() > kMaxStanzas) {
    return Refuse("too-many-recipients",
                  absl::StrCat(recipients.size(), " recipients; at most ", kMaxStanzas));
  }
  SecretBytes file_key(kFileKey);
  if (!random(file_key.data(), file_key.size())) return NoRandomness();
  std::vector<Stanza> stanzas;
  for (const Recipient& recipient : recipients) {
    absl::StatusOr<Stanza> stanza = Wrap(file_key, recipient, random);
    if (!stanza.ok()) return stanza.status();
    stanzas.push_back(*std::move(stanza));
  }
  std::string nonce(kPayloadNonce, '\0');
  if (!random(reinterpret_cast<uint8_t*>(nonce.data()), nonce.size())) return NoRandomness();
  const std::string header = HeaderText(stanzas);
  const std::string mac = HmacSha256(Hkdf(file_key.view(), "", "header").view(), header);
  return absl::StrCat(header, " ", Base64Raw(mac), "\n",
                      SealPayload(file_key.view(), nonce, plaintext));
}

absl::StatusOr<SecretBytes> Decrypt(absl::string_view file, absl::Span<const Identity> identities) {
  absl::StatusOr<Header> header = ParseHeader(file);
  if (!header.ok()) return header.status();
  if (file.size() - header->size < kPayloadNonce) {
    return Refuse("bad-age-header", "the age file ends before its payload", "seal the value again");
  }
  absl::StatusOr<SecretBytes> file_key = FileKey(*header, identities);
  if (!file_key.ok()) return file_key.status();
  const std::string mac =
      HmacSha256(Hkdf(file_key->view(), "", "header").view(), file.substr(0, header->authentic));
  if (CRYPTO_memcmp(mac.data(), header->mac.data(), mac.size()) != 0) {
    return Refuse("bad-age-mac", "the header of the age file was changed after it was sealed",
                  "seal the value again");
  }
  return OpenPayload(file_key->view(), file.substr(header->size));
}

}  // namespace basalt::seal
