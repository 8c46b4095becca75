// PrivateKey to and from PEM.
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/openssl_ptr.h"
#include "machineconfig/sign/pkcs8_pem.h"

namespace basalt::sign {
namespace {

constexpr size_t kMaxPem = 64 << 10;
// A file that asks for more is an attack on whoever opens it, not care: minutes of CPU.
constexpr int64_t kMaxIterations = 20'000'000;
constexpr uint64_t kMaxScryptWork = uint64_t{1} << 28;  // N·r·p
// scrypt N=2^14 r=8 p=5 (OWASP): 16 MiB, below the 32 MiB that OpenSSL allows when it reads.
constexpr uint64_t kScryptN = 1 << 14;
constexpr uint64_t kScryptR = 8;
constexpr uint64_t kScryptP = 5;

absl::Status Bad(absl::string_view reason, absl::string_view what, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, reason, what, hint);
}

// One PEM block; its bytes are cleansed.
struct PemBlock {
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  PemBlock() = default;
  PemBlock(const PemBlock&) = delete;
  PemBlock& operator=(const PemBlock&) = delete;
  ~PemBlock() { Reset(); }
  void Reset() {
    OPENSSL_free(name);
    OPENSSL_free(header);
    if (data != nullptr) OPENSSL_clear_free(data, static_cast<size_t>(size));
    name = header = nullptr;
    data = nullptr;
    size = 0;
  }
};

template <typename T>
struct Asn1Owned {
  const ASN1_ITEM* item;
  T* value;
  ~Asn1Owned() { ASN1_item_free(reinterpret_cast<ASN1_VALUE*>(value), item); }
};

template <typename T>
Asn1Owned<T> Unpack(const ASN1_TYPE* type, const ASN1_ITEM* item) {
  T* value = nullptr;
  if (type != nullptr && type->type == V_ASN1_SEQUENCE) {
    value = static_cast<T*>(ASN1_item_unpack(type->value.sequence, item));
  }
  return {item, value};
}

// PBES2 with a bounded key derivation.
absl::Status CheckEncryption(const X509_SIG* sealed) {
  const X509_ALGOR* algorithm = nullptr;
  X509_SIG_get0(sealed, &algorithm, nullptr);
  if (OBJ_obj2nid(algorithm->algorithm) != NID_pbes2) {
    return Bad("unsupported-key", "the key is encrypted in an old form (not PBES2)",
               "convert it: openssl pkcs8 -topk8 -scrypt -in OLD -out NEW");
  }
  auto pbes2 = Unpack<PBE2PARAM>(algorithm->parameter, ASN1_ITEM_rptr(PBE2PARAM));
  if (pbes2.value == nullptr) return Bad("bad-key", "the encrypted key is damaged", "");
  const X509_ALGOR* kdf = pbes2.value->keyfunc;
  bool bounded = false;
  if (OBJ_obj2nid(kdf->algorithm) == NID_id_pbkdf2) {
    auto param = Unpack<PBKDF2PARAM>(kdf->parameter, ASN1_ITEM_rptr(PBKDF2PARAM));
    int64_t iterations = 0;
    bounded = param.value != nullptr && ASN1_INTEGER_get_int64(&iterations, param.value->iter) &&
              iterations > 0 && iterations <= kMaxIterations;
  } else if (OBJ_obj2nid(kdf->algorithm) == NID_id_scrypt) {
    auto param = Unpack<SCRYPT_PARAMS>(kdf->parameter, ASN1_ITEM_rptr(SCRYPT_PARAMS));
    uint64_t n = 0, r = 0, p = 0;
    bounded = param.value != nullptr && ASN1_INTEGER_get_uint64(&n, param.value->costParameter) &&
              ASN1_INTEGER_get_uint64(&r, param.value->blockSize) &&
              ASN1_INTEGER_get_uint64(&p, param.value->parallelizationParameter) && n > 0 &&
              r > 0 && p > 0 && n <= kMaxScryptWork && r <= 1024 && p <= 1024 &&
              n * r <= kMaxScryptWork / p;
  } else {
    return Bad("unsupported-key", "the key is encrypted with an unknown key derivation",
               "convert it: openssl pkcs8 -topk8 -scrypt -in OLD -out NEW");
  }
  if (!bounded) return Bad("bad-key", "the encrypted key asks for an absurd amount of work", "");
  return absl::OkStatus();
}

absl::StatusOr<Pkcs8Ptr> Decrypt(const PemBlock& block, absl::string_view passphrase) {
  const unsigned char* p = block.data;
  X509SigPtr sealed(d2i_X509_SIG(nullptr, &p, block.size));
  if (!sealed || p != block.data + block.size) {
    return Bad("bad-key", "the encrypted private key is damaged", "restore it from a backup");
  }
  if (absl::Status status = CheckEncryption(sealed.get()); !status.ok()) return status;
  if (passphrase.empty()) {
    return api::Coded(absl::StatusCode::kUnauthenticated, "passphrase-needed",
                      "the private key is encrypted", "give its passphrase");
  }
  Pkcs8Ptr opened(
      PKCS8_decrypt(sealed.get(), passphrase.data(), static_cast<int>(passphrase.size())));
  if (!opened) {
    return api::Coded(absl::StatusCode::kPermissionDenied, "wrong-passphrase",
                      "the passphrase does not open the private key", "try again");
  }
  return opened;
}

}  // namespace

absl::StatusOr<EvpPkeyPtr> OpenPrivateKeyPem(absl::string_view pem, absl::string_view passphrase) {
  ErrorQueueGuard guard;
  if (pem.size() > kMaxPem || passphrase.size() > 4096) {
    return Bad("bad-key", "a private key is not as long as this", "");
  }
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  PemBlock block;
  EvpPkeyPtr key;
  for (;;) {
    block.Reset();
    if (PEM_read_bio(bio.get(), &block.name, &block.header, &block.data, &block.size) != 1) {
      return Bad(
          "bad-key", "no private key in PEM or of OpenSSH in the text",
          "the private half: what begins with -----BEGIN PRIVATE KEY-----, ENCRYPTED PRIVATE "
          "KEY or OPENSSH PRIVATE KEY; keys of minisign and others sign by themselves: "
          "nodectl sign --payload-only, then --attach");
    }
    absl::string_view name = block.name;
    const unsigned char* p = block.data;
    if (name == "EC PARAMETERS") continue;  // openssl ecparam writes it before the key
    if (block.header[0] != '\0') {
      return Bad("unsupported-key", "the key is encrypted in an old form (PEM headers)",
                 "convert it: openssl pkcs8 -topk8 -scrypt -in OLD -out NEW");
    }
    if (name == "EC PRIVATE KEY") {
      key.reset(d2i_PrivateKey(EVP_PKEY_EC, nullptr, &p, block.size));
      break;
    }
    Pkcs8Ptr info;
    if (name == "ENCRYPTED PRIVATE KEY") {
      auto opened = Decrypt(block, passphrase);
      if (!opened.ok()) return opened.status();
      info = *std::move(opened);
    } else if (name == "PRIVATE KEY") {
      info.reset(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &p, block.size));
      if (p != block.data + block.size) info.reset();
    } else {
      return Bad("bad-key",
                 absl::StrCat("a PEM block `", name.substr(0, 40), "` is no private key"),
                 "expected -----BEGIN PRIVATE KEY----- or -----BEGIN ENCRYPTED PRIVATE KEY-----");
    }
    if (info) key.reset(EVP_PKCS82PKEY(info.get()));
    break;
  }
  if (!key) return Bad("bad-key", "the private key is damaged", "restore it from a backup");
  return key;
}

absl::StatusOr<PrivateKey> PrivateKey::FromPem(absl::string_view pem,
                                               absl::string_view passphrase) {
  ErrorQueueGuard guard;
  absl::StatusOr<EvpPkeyPtr> key = OpenPrivateKeyPem(pem, passphrase);
  if (!key.ok()) return key.status();
  auto out = FromOpenSsl(key->release());
  if (!out.ok()) return out;
  if (out->public_key_.algorithm() == Algorithm::kEcdsaP256) {
    // SEC1 carries the public point beside the scalar: a file may lie about it.
    EvpPkeyCtxPtr ctx(EVP_PKEY_CTX_new(out->get(), nullptr));
    if (!ctx || EVP_PKEY_pairwise_check(ctx.get()) != 1) {
      return Bad("bad-key", "the two halves of the private key do not belong together", "");
    }
  }
  return out;
}

std::string PrivateKey::Pem(absl::string_view passphrase) const {
  return WritePrivateKeyPem(key_.get(), passphrase);
}

std::string WritePrivateKeyPem(EVP_PKEY* key, absl::string_view passphrase) {
  ErrorQueueGuard guard;
  BioPtr bio(BIO_new(BIO_s_secmem()));
  Pkcs8Ptr info(EVP_PKEY2PKCS8(key));
  bool ok = bio && info;
  if (ok && passphrase.empty()) {
    ok = PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio.get(), info.get()) == 1;
  } else if (ok) {
    X509AlgorPtr pbe(PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), nullptr, 0, nullptr, kScryptN,
                                           kScryptR, kScryptP));
    X509SigPtr sealed;
    if (pbe) {
      sealed.reset(PKCS8_set0_pbe(passphrase.data(), static_cast<int>(passphrase.size()),
                                  info.get(), pbe.get()));
    }
    if (sealed) static_cast<void>(pbe.release());  // set0: it belongs to `sealed` now
    ok = sealed && PEM_write_bio_PKCS8(bio.get(), sealed.get()) == 1;
  }
  if (!ok) std::abort();  // out of memory: a key without its text must not look like one with
  return BioText(bio.get());
}

}  // namespace basalt::sign
