#include "machineconfig/sign/openssh_key.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/sign/openssl_ptr.h"
#include "machineconfig/sign/ssh_wire.h"
#include "machineconfig/sign/sshsig.h"

namespace basalt::sign {
namespace {

constexpr size_t kMaxText = 64 << 10;
constexpr absl::string_view kBegin = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr absl::string_view kEnd = "-----END OPENSSH PRIVATE KEY-----";
constexpr absl::string_view kMagic("openssh-key-v1\0", 15);
// ECPrivateKey (RFC 5915) of P-256: before the scalar, and between it and the point.
constexpr absl::string_view kSec1Head("\x30\x77\x02\x01\x01\x04\x20", 7);
constexpr absl::string_view kSec1Middle(
    "\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\xa1\x44\x03\x42\x00", 17);

absl::Status Bad(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-key",
                    absl::StrCat("the OpenSSH private key is damaged: ", what),
                    "restore it from a backup");
}

absl::Status Unsupported(absl::string_view what) {
  return api::Coded(
      absl::StatusCode::kInvalidArgument, "unsupported-key", what,
      "let ssh-keygen sign, which asks for the passphrase or the touch: --key ssh-keygen:FILE; or "
      "once ssh-add FILE, then --key ssh-agent:");
}

struct Cleansed {
  std::string bytes;
  ~Cleansed() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

EvpPkeyPtr MakeEd25519(absl::string_view* in) {
  absl::string_view half, both;
  // The seed, and the public half once more.
  if (!TakeString(in, &half) || !TakeString(in, &both) || both.size() != 64 ||
      both.substr(32) != half) {
    return nullptr;
  }
  return EvpPkeyPtr(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, Bytes(both), 32));
}

EvpPkeyPtr MakeP256(absl::string_view* in) {
  absl::string_view curve, point, scalar;
  if (!TakeString(in, &curve) || curve != "nistp256" || !TakeString(in, &point) ||
      point.size() != 65 || !TakeString(in, &scalar)) {
    return nullptr;
  }
  absl::ConsumePrefix(&scalar, absl::string_view("\0", 1));
  if (scalar.size() > 32) return nullptr;
  Cleansed der{
      absl::StrCat(kSec1Head, std::string(32 - scalar.size(), '\0'), scalar, kSec1Middle, point)};
  const unsigned char* p = Bytes(der.bytes);
  EvpPkeyPtr key(d2i_PrivateKey(EVP_PKEY_EC, nullptr, &p, static_cast<long>(der.bytes.size())));
  if (!key) return nullptr;
  // The point stands beside the scalar: a file may lie about it.
  EvpPkeyCtxPtr ctx(EVP_PKEY_CTX_new(key.get(), nullptr));
  if (!ctx || EVP_PKEY_pairwise_check(ctx.get()) != 1) return nullptr;
  return key;
}

// 1, 2, 3 up to the end of a block of eight.
bool IsPadding(absl::string_view rest) {
  if (rest.size() >= 8) return false;
  for (size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] != static_cast<char>(i + 1)) return false;
  }
  return true;
}

}  // namespace

bool LooksLikeOpenSshKey(absl::string_view text) {
  return absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), kBegin);
}

absl::StatusOr<PrivateKey> ReadOpenSshKey(absl::string_view text) {
  ErrorQueueGuard guard;
  if (text.size() > kMaxText) return Bad("it is longer than one can be");
  text = absl::StripAsciiWhitespace(text);
  if (!absl::ConsumePrefix(&text, kBegin) || !absl::ConsumeSuffix(&text, kEnd)) {
    return Bad("it is not one block from BEGIN to END");
  }
  Cleansed base64, blob;
  base64.bytes.reserve(text.size());
  for (char c : text) {
    if (c != '\n' && c != '\r') base64.bytes.push_back(c);
  }
  absl::StatusOr<std::string> decoded = Base64DecodeStrict(base64.bytes);
  if (!decoded.ok()) return Bad("it is not base64");
  blob.bytes.swap(*decoded);

  absl::string_view in = blob.bytes, cipher, kdf, kdf_options, public_blob, secret;
  uint32_t count = 0;
  if (!absl::ConsumePrefix(&in, kMagic) || !TakeString(&in, &cipher) || !TakeString(&in, &kdf) ||
      !TakeString(&in, &kdf_options) || !TakeUint32(&in, &count)) {
    return Bad("its beginning is cut off");
  }
  if (cipher != "none" || kdf != "none") {
    return Unsupported("the OpenSSH private key is encrypted, in a form of OpenSSH's own");
  }
  if (count != 1 || !TakeString(&in, &public_blob) || !TakeString(&in, &secret) || !in.empty()) {
    return Bad("it is cut off, or not one key");
  }
  absl::string_view type, comment;
  uint32_t check = 0, again = 0;
  if (!TakeUint32(&secret, &check) || !TakeUint32(&secret, &again) || check != again ||
      !TakeString(&secret, &type)) {
    return Bad("its secret half begins wrongly");
  }
  EvpPkeyPtr key;
  if (type == "ssh-ed25519") {
    key = MakeEd25519(&secret);
  } else if (type == "ecdsa-sha2-nistp256") {
    key = MakeP256(&secret);
  } else {
    const std::string what =
        absl::StrCat("OpenSSH private keys of type `", absl::CHexEscape(type.substr(0, 64)),
                     "` are not supported");
    if (absl::StartsWith(type, "sk-")) return Unsupported(what);
    return api::Coded(absl::StatusCode::kInvalidArgument, "unsupported-key", what,
                      "Ed25519 or P-256: ssh-keygen -t ed25519");
  }
  if (!key || !TakeString(&secret, &comment) || !IsPadding(secret)) {
    return Bad("its secret half is cut off or not a key");
  }
  absl::StatusOr<PrivateKey> out = PrivateKey::FromOpenSsl(key.release());
  if (!out.ok()) return out;
  const PublicKey& half = out->public_key();
  if (SshKeyBlob(half.algorithm(), half.raw()) != public_blob) {
    return Bad("its two halves do not belong together");
  }
  return out;
}

}  // namespace basalt::sign
