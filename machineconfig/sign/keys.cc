#include "machineconfig/sign/keys.h"

#include <openssl/core_names.h>

#include <cstdlib>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/ed25519_point.h"
#include "machineconfig/sign/key_text.h"
#include "machineconfig/sign/openssl_ptr.h"
#include "machineconfig/sign/ssh_wire.h"

namespace basalt::sign {
namespace {

// The one DER encoding of each SubjectPublicKeyInfo that is accepted (RFC 8410; RFC 5480 with a
// named curve and an uncompressed point): two encodings of a key would be two key ids.
constexpr absl::string_view kEd25519SpkiPrefix("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
                                               12);
constexpr absl::string_view kP256SpkiPrefix(
    "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
    "\x03\x42\x00",
    26);

absl::Status Refuse(absl::string_view reason, absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, reason, what,
                    "make an Ed25519 key: nodectl init, or openssl genpkey -algorithm ed25519");
}

// Out of memory inside OpenSSL, or a key that was good and is not any more: nothing to go on with.
template <typename T>
T* Must(T* pointer) {
  if (pointer == nullptr) std::abort();
  return pointer;
}
void Must(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

absl::StatusOr<PublicKey> PublicKey::FromEd25519(absl::string_view raw32) {
  if (raw32.size() != 32) return Refuse("bad-key", "an Ed25519 public key has 32 bytes");
  return FromSpkiDer(absl::StrCat(kEd25519SpkiPrefix, raw32));
}

absl::StatusOr<PublicKey> PublicKey::FromSpkiDer(absl::string_view der) {
  ErrorQueueGuard guard;
  PublicKey out;
  EvpPkeyPtr key;
  if (der.size() == 44 && absl::StartsWith(der, kEd25519SpkiPrefix)) {
    out.algorithm_ = Algorithm::kEd25519;
    out.raw_ = std::string(der.substr(kEd25519SpkiPrefix.size()));
    switch (CheckEd25519Point(out.raw_)) {
      case PointCheck::kGood:
        break;
      case PointCheck::kSmallOrder:
        return Refuse("weak-key",
                      "the Ed25519 public key is a point of small order: anyone could sign for it");
      case PointCheck::kNonCanonical:
        return Refuse("bad-key", "the Ed25519 public key is not in its canonical encoding");
      case PointCheck::kNotOnCurve:
        return Refuse("bad-key", "the Ed25519 public key is not a point of the curve");
    }
    key.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(out.raw_), 32));
  } else if (der.size() == 91 && absl::StartsWith(der, kP256SpkiPrefix)) {
    out.algorithm_ = Algorithm::kEcdsaP256;
    out.raw_ = std::string(der.substr(kP256SpkiPrefix.size()));
    if (out.raw_[0] != '\x04') return Refuse("bad-key", "the P-256 point is not uncompressed");
    const unsigned char* p = Bytes(der);
    key.reset(d2i_PUBKEY(nullptr, &p, static_cast<long>(der.size())));  // checks the curve equation
  } else {
    const unsigned char* p = Bytes(der);
    EvpPkeyPtr other(d2i_PUBKEY(nullptr, &p, static_cast<long>(der.size())));
    if (!other) return Refuse("bad-key", "not the DER of a public key");
    const char* name = EVP_PKEY_get0_type_name(other.get());
    return Refuse("unsupported-key",
                  absl::StrCat("a public key of type ", name ? name : "unknown",
                               " in this form is not supported: Ed25519, or ECDSA P-256 by its "
                               "curve's name and with an uncompressed point"));
  }
  if (!key) return Refuse("bad-key", "OpenSSL refuses the public key: not a point of the curve");
  out.spki_der_ = std::string(der);
  out.id_ = Sha256(der);
  out.key_ = std::shared_ptr<EVP_PKEY>(std::move(key));
  return out;
}

absl::StatusOr<PublicKey> PublicKey::FromOpenSsl(const EVP_PKEY* key) {
  ErrorQueueGuard guard;
  if (EVP_PKEY_get_id(key) == EVP_PKEY_ED25519) {
    unsigned char raw[32];
    size_t size = sizeof raw;
    if (EVP_PKEY_get_raw_public_key(key, raw, &size) != 1 || size != sizeof raw) {
      return Refuse("bad-key", "the key has no public half");
    }
    return FromEd25519(absl::string_view(reinterpret_cast<char*>(raw), size));
  }
  char group[64] = "";
  char encoding[64] = "";
  if (EVP_PKEY_get_id(key) != EVP_PKEY_EC ||
      EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                     nullptr) != 1 ||
      absl::string_view(group) != "prime256v1" ||
      EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, encoding, sizeof encoding,
                                     nullptr) != 1 ||
      absl::string_view(encoding) != OSSL_PKEY_EC_ENCODING_GROUP) {
    const char* name = EVP_PKEY_get0_type_name(key);
    return Refuse("unsupported-key", absl::StrCat("a key of type ", name ? name : "unknown", " ",
                                                  group, " is not supported"));
  }
  std::string der(kP256SpkiPrefix);
  der += '\x04';
  for (const char* name : {OSSL_PKEY_PARAM_EC_PUB_X, OSSL_PKEY_PARAM_EC_PUB_Y}) {
    BIGNUM* number = nullptr;
    unsigned char bytes[32];
    if (EVP_PKEY_get_bn_param(key, name, &number) != 1) {
      return Refuse("bad-key", "the key has no public half");
    }
    BnPtr owned(number);
    if (BN_bn2binpad(number, bytes, sizeof bytes) != sizeof bytes) {
      return Refuse("bad-key", "not a point of P-256");
    }
    der.append(reinterpret_cast<char*>(bytes), sizeof bytes);
  }
  return FromSpkiDer(der);
}

absl::StatusOr<PublicKey> PublicKey::Parse(absl::string_view text) {
  auto parsed = ParseKeyText(text);
  if (!parsed.ok()) return parsed.status();
  absl::StatusOr<PublicKey> key = [&]() -> absl::StatusOr<PublicKey> {
    switch (parsed->kind) {
      case KeyText::Kind::kSpkiDer:
        return FromSpkiDer(parsed->bytes);
      case KeyText::Kind::kEd25519Raw:
        return FromEd25519(parsed->bytes);
      case KeyText::Kind::kP256Point:
        break;
    }
    return FromSpkiDer(absl::StrCat(kP256SpkiPrefix, parsed->bytes));
  }();
  if (!key.ok() || parsed->application.empty()) return key;
  return key->OnSecurityKey(parsed->application);
}

PublicKey PublicKey::OnSecurityKey(absl::string_view application) const {
  PublicKey out = *this;
  out.application_ = std::string(application);
  return out;
}

std::string PublicKey::Pem() const {
  std::string base64 = Base64Encode(spki_der_);
  std::string out = "-----BEGIN PUBLIC KEY-----\n";
  for (size_t i = 0; i < base64.size(); i += 64) absl::StrAppend(&out, base64.substr(i, 64), "\n");
  return out + "-----END PUBLIC KEY-----\n";
}

bool PublicKey::Verify(absl::string_view message, absl::string_view signature) const {
  return application_.empty() && VerifyBare(message, signature);
}

bool PublicKey::VerifyTouched(absl::string_view message, uint8_t flags, uint32_t counter,
                              absl::string_view signature) const {
  if (application_.empty() || (flags & kUserPresent) == 0) return false;
  std::string signed_bytes;
  auto put = [&](const Digest& digest) {
    signed_bytes.append(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
  };
  put(Sha256(application_));
  signed_bytes.push_back(static_cast<char>(flags));
  PutUint32(&signed_bytes, counter);
  put(Sha256(message));
  return VerifyBare(signed_bytes, signature);
}

bool PublicKey::VerifyBare(absl::string_view message, absl::string_view signature) const {
  if (!key_) return false;
  ErrorQueueGuard guard;
  const EVP_MD* md = nullptr;
  if (algorithm_ == Algorithm::kEd25519) {
    if (!HasCanonicalS(signature) || HasWeakR(signature)) return false;
  } else {
    // What d2i reads and i2d writes back differently is BER, or has bytes behind its end.
    if (signature.empty() || signature.size() > 72) return false;
    const unsigned char* p = Bytes(signature);
    EcdsaSigPtr parsed(d2i_ECDSA_SIG(nullptr, &p, static_cast<long>(signature.size())));
    unsigned char again[80];
    unsigned char* q = again;
    if (!parsed || i2d_ECDSA_SIG(parsed.get(), nullptr) != static_cast<int>(signature.size())) {
      return false;
    }
    i2d_ECDSA_SIG(parsed.get(), &q);
    if (std::memcmp(again, signature.data(), signature.size()) != 0) return false;
    md = EVP_sha256();
  }
  EvpMdCtxPtr ctx(Must(EVP_MD_CTX_new()));
  return EVP_DigestVerifyInit(ctx.get(), nullptr, md, nullptr, key_.get()) == 1 &&
         EVP_DigestVerify(ctx.get(), Bytes(signature), signature.size(), Bytes(message),
                          message.size()) == 1;
}

std::string EcdsaDer(absl::string_view r_and_s) {
  if (r_and_s.size() != 64) return "";
  EcdsaSigPtr both(Must(ECDSA_SIG_new()));
  Must(ECDSA_SIG_set0(both.get(), Must(BN_bin2bn(Bytes(r_and_s), 32, nullptr)),
                      Must(BN_bin2bn(Bytes(r_and_s) + 32, 32, nullptr))) == 1);
  std::string der(static_cast<size_t>(i2d_ECDSA_SIG(both.get(), nullptr)), '\0');
  unsigned char* p = reinterpret_cast<unsigned char*>(der.data());
  i2d_ECDSA_SIG(both.get(), &p);
  return der;
}

PrivateKey PrivateKey::GenerateEd25519() {
  auto made = FromOpenSsl(Must(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")));
  Must(made.ok());
  return *std::move(made);
}

absl::StatusOr<PrivateKey> PrivateKey::FromOpenSsl(EVP_PKEY* key) {
  PrivateKey out;
  out.key_ = std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free);
  auto public_key = PublicKey::FromOpenSsl(key);
  if (!public_key.ok()) return public_key.status();
  out.public_key_ = *std::move(public_key);
  return out;
}

std::string PrivateKey::Sign(absl::string_view message) const {
  const EVP_MD* md = public_key_.algorithm() == Algorithm::kEd25519 ? nullptr : EVP_sha256();
  EvpMdCtxPtr ctx(Must(EVP_MD_CTX_new()));
  size_t size = 0;
  Must(EVP_DigestSignInit(ctx.get(), nullptr, md, nullptr, key_.get()) == 1);
  Must(EVP_DigestSign(ctx.get(), nullptr, &size, Bytes(message), message.size()) == 1);
  std::string out(size, '\0');
  Must(EVP_DigestSign(ctx.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                      Bytes(message), message.size()) == 1);
  out.resize(size);
  return out;
}

}  // namespace basalt::sign
