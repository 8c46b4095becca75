// A security key without a device, for ssh-keygen's own programs: the C interface of OpenSSH's
// middleware (sk-api.h, version 10), which ssh-sk-helper loads for SSH_SK_PROVIDER. The private key
// is the key handle: good for tests and for nothing else. A touch is always given.
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include <cstdint>
#include <string>

extern "C" {

struct sk_option;
struct sk_resident_key;
struct sk_enroll_response {
  uint8_t flags;
  uint8_t* public_key;
  size_t public_key_len;
  uint8_t* key_handle;
  size_t key_handle_len;
  uint8_t* signature;
  size_t signature_len;
  uint8_t* attestation_cert;
  size_t attestation_cert_len;
  uint8_t* authdata;
  size_t authdata_len;
};
struct sk_sign_response {
  uint8_t flags;
  uint32_t counter;
  uint8_t* sig_r;
  size_t sig_r_len;
  uint8_t* sig_s;
  size_t sig_s_len;
};

}  // extern "C"

namespace {

constexpr uint32_t kP256 = 0, kEd25519 = 1;
constexpr int kUnsupported = -2, kGeneral = -1;

uint8_t* Copy(const std::string& bytes, size_t* size) {
  auto* out = static_cast<uint8_t*>(malloc(bytes.size()));
  memcpy(out, bytes.data(), bytes.size());
  *size = bytes.size();
  return out;
}

std::string Hash(const void* data, size_t size) {
  unsigned char out[SHA256_DIGEST_LENGTH];
  SHA256(static_cast<const unsigned char*>(data), size, out);
  return {reinterpret_cast<char*>(out), sizeof out};
}

const unsigned char* Bytes(const std::string& s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

std::string Number(const BIGNUM* n) {
  std::string out(static_cast<size_t>(BN_num_bytes(n)), '\0');
  BN_bn2bin(n, reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

// The handle is the PKCS#8 DER.
std::string HandleOf(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PrivateKey(key, &der);
  std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(size > 0 ? size : 0));
  OPENSSL_free(der);
  return out;
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) uint32_t sk_api_version(void) { return 0x000a0000; }

__attribute__((visibility("default"))) int sk_enroll(uint32_t alg, const uint8_t*, size_t,
                                                     const char*, uint8_t flags, const char*,
                                                     sk_option**, sk_enroll_response** response) {
  if (alg != kP256 && alg != kEd25519) return kUnsupported;
  EVP_PKEY* key = alg == kEd25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                  : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  if (key == nullptr) return kGeneral;
  unsigned char point[65];
  size_t size = sizeof point;
  const int got = alg == kEd25519
                      ? EVP_PKEY_get_raw_public_key(key, point, &size)
                      : EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof point, &size);
  const std::string handle = HandleOf(key);
  EVP_PKEY_free(key);
  if (got != 1) return kGeneral;
  auto* out = static_cast<sk_enroll_response*>(calloc(1, sizeof(sk_enroll_response)));
  out->flags = flags;
  out->public_key = Copy({reinterpret_cast<char*>(point), size}, &out->public_key_len);
  out->key_handle = Copy(handle, &out->key_handle_len);
  out->signature = Copy("none", &out->signature_len);
  *response = out;
  return 0;
}

__attribute__((visibility("default"))) int sk_sign(uint32_t alg, const uint8_t* data,
                                                   size_t data_len, const char* application,
                                                   const uint8_t* handle, size_t handle_len,
                                                   uint8_t flags, const char*, sk_option**,
                                                   sk_sign_response** response) {
  const unsigned char* p = handle;
  EVP_PKEY* key = d2i_PrivateKey(alg == kEd25519 ? EVP_PKEY_ED25519 : EVP_PKEY_EC, nullptr, &p,
                                 static_cast<long>(handle_len));
  if (key == nullptr) return kGeneral;
  constexpr uint32_t kCounter = 0x01020304;
  const std::string message = Hash(application, strlen(application)) + static_cast<char>(flags) +
                              "\x01\x02\x03\x04" + Hash(data, data_len);
  std::string signature(128, '\0');
  size_t size = signature.size();
  EVP_MD_CTX* ctx = EVP_MD_CTX_new();
  const bool good = EVP_DigestSignInit(ctx, nullptr, alg == kEd25519 ? nullptr : EVP_sha256(),
                                       nullptr, key) == 1 &&
                    EVP_DigestSign(ctx, reinterpret_cast<unsigned char*>(signature.data()), &size,
                                   Bytes(message), message.size()) == 1;
  EVP_MD_CTX_free(ctx);
  EVP_PKEY_free(key);
  if (!good) return kGeneral;
  signature.resize(size);
  auto* out = static_cast<sk_sign_response*>(calloc(1, sizeof(sk_sign_response)));
  out->flags = flags;
  out->counter = kCounter;
  if (alg == kEd25519) {
    out->sig_r = Copy(signature, &out->sig_r_len);
  } else {
    const unsigned char* der = Bytes(signature);
    ECDSA_SIG* both = d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(size));
    out->sig_r = Copy(Number(ECDSA_SIG_get0_r(both)), &out->sig_r_len);
    out->sig_s = Copy(Number(ECDSA_SIG_get0_s(both)), &out->sig_s_len);
    ECDSA_SIG_free(both);
  }
  *response = out;
  return 0;
}

__attribute__((visibility("default"))) int sk_load_resident_keys(const char*, sk_option**,
                                                                 sk_resident_key***, size_t*) {
  return kUnsupported;
}

}  // extern "C"
