#include "machineconfig/sign/efi_key.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/openssl_ptr.h"
#include "machineconfig/sign/pkcs8_pem.h"

namespace basalt::sign {
namespace {

constexpr int kBits = 2048;
constexpr size_t kMostCertificate = 16 << 10;

absl::Status BadCertificate(absl::string_view why) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-certificate",
                    absl::StrCat("no certificate for Secure Boot: ", why),
                    "nodectl gen secureboot makes some");
}

std::string SpkiOf(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  std::string out = size > 0 ? std::string(reinterpret_cast<char*>(der), static_cast<size_t>(size))
                             : std::string();
  OPENSSL_free(der);
  return out;
}

template <typename T>
bool AddExtension(X509* cert, int nid, T* value, bool critical) {
  return value != nullptr &&
         X509_add1_ext_i2d(cert, nid, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) == 1;
}

bool FillExtensions(X509* cert) {
  std::unique_ptr<BASIC_CONSTRAINTS, OpenSslFree<BASIC_CONSTRAINTS_free>> basic(
      BASIC_CONSTRAINTS_new());
  std::unique_ptr<ASN1_BIT_STRING, OpenSslFree<ASN1_BIT_STRING_free>> usage(ASN1_BIT_STRING_new());
  // Bit 0, digitalSignature: it signs programs and variables, and no further certificates.
  return basic && usage && ASN1_BIT_STRING_set_bit(usage.get(), 0, 1) == 1 &&
         AddExtension(cert, NID_basic_constraints, basic.get(), true) &&
         AddExtension(cert, NID_key_usage, usage.get(), true);
}

}  // namespace

EfiKey EfiKey::Generate() {
  EfiKey key;
  key.key_.reset(EVP_RSA_gen(kBits), EVP_PKEY_free);
  if (!key.key_) std::abort();  // no randomness or no memory: there is no key to go on with
  return key;
}

absl::StatusOr<EfiKey> EfiKey::FromPem(absl::string_view pem, absl::string_view passphrase) {
  ErrorQueueGuard guard;
  absl::StatusOr<EvpPkeyPtr> opened = OpenPrivateKeyPem(pem, passphrase);
  if (!opened.ok()) return opened.status();
  const int bits = EVP_PKEY_get_bits(opened->get());
  if (EVP_PKEY_get_base_id(opened->get()) != EVP_PKEY_RSA || bits < kBits || bits > 2 * kBits) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "unsupported-key",
                      "firmware and TPMs want an RSA key of 2048 bits",
                      "nodectl gen secureboot makes some");
  }
  EfiKey key;
  key.key_.reset(opened->release(), EVP_PKEY_free);
  return key;
}

std::string EfiKey::Pem(absl::string_view passphrase) const {
  return WritePrivateKeyPem(key_.get(), passphrase);
}

std::string EfiKey::PublicPem() const {
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PUBKEY(bio.get(), key_.get()) != 1) std::abort();  // no memory
  return BioText(bio.get());
}

std::string EfiKey::spki_der() const { return SpkiOf(key_.get()); }

std::string EfiKey::pkcs1_der() const {
  unsigned char* der = nullptr;
  const int size = i2d_PublicKey(key_.get(), &der);
  if (size <= 0) std::abort();  // no memory
  std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

std::string EfiKey::Sign(absl::string_view message) const {
  ErrorQueueGuard guard;
  EvpMdCtxPtr ctx(EVP_MD_CTX_new());
  size_t size = 0;
  std::string out;
  bool ok = ctx && EVP_DigestSignInit(ctx.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
            EVP_DigestSign(ctx.get(), nullptr, &size, Bytes(message), message.size()) == 1;
  out.resize(size);
  ok = ok && EVP_DigestSign(ctx.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                            Bytes(message), message.size()) == 1;
  if (!ok) std::abort();  // no memory: an empty signature must not look like one
  out.resize(size);
  return out;
}

bool VerifyRsa(absl::string_view public_pem, absl::string_view message,
               absl::string_view signature) {
  ErrorQueueGuard guard;
  BioPtr bio(BIO_new_mem_buf(public_pem.data(), static_cast<int>(public_pem.size())));
  EvpPkeyPtr key(bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  EvpMdCtxPtr ctx(EVP_MD_CTX_new());
  return key && ctx && EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA &&
         EVP_DigestVerifyInit(ctx.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
         EVP_DigestVerify(ctx.get(), Bytes(signature), signature.size(), Bytes(message),
                          message.size()) == 1;
}

absl::StatusOr<EfiCertificate> ReadEfiCertificate(absl::string_view der) {
  ErrorQueueGuard guard;
  if (der.empty() || der.size() > kMostCertificate) return BadCertificate("its size is odd");
  const unsigned char* p = Bytes(der);
  X509Ptr cert(d2i_X509(nullptr, &p, static_cast<long>(der.size())));
  if (!cert || p != Bytes(der) + der.size()) return BadCertificate("it is damaged");
  EVP_PKEY* key = X509_get0_pubkey(cert.get());
  if (key == nullptr) return BadCertificate("its key cannot be read");
  EfiCertificate out{.der = std::string(der), .spki_der = SpkiOf(key)};
  char name[128] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(cert.get()), NID_commonName, name, sizeof name);
  // It is shown: nothing that a terminal would obey.
  for (const char* c = name; *c != '\0'; ++c)
    out.name.push_back(*c >= 0x20 && *c < 0x7f ? *c : '?');
  return out;
}

absl::StatusOr<EfiCertificate> ReadEfiCertificatePem(absl::string_view pem) {
  ErrorQueueGuard guard;
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  X509Ptr cert(bio ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  if (!cert) return BadCertificate("no certificate in PEM in the text");
  unsigned char* der = nullptr;
  const int size = i2d_X509(cert.get(), &der);
  std::string bytes = size > 0
                          ? std::string(reinterpret_cast<char*>(der), static_cast<size_t>(size))
                          : std::string();
  OPENSSL_free(der);
  return ReadEfiCertificate(bytes);
}

std::string EfiCertificatePem(const EfiCertificate& certificate) {
  ErrorQueueGuard guard;
  const unsigned char* p = Bytes(certificate.der);
  X509Ptr cert(d2i_X509(nullptr, &p, static_cast<long>(certificate.der.size())));
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (!cert || !bio || PEM_write_bio_X509(bio.get(), cert.get()) != 1) return "";
  return BioText(bio.get());
}

absl::StatusOr<EfiCertificate> SelfSignEfi(const std::string& common_name, const EfiKey& key,
                                           absl::Time not_before, absl::Time not_after) {
  ErrorQueueGuard guard;
  if (common_name.empty() || common_name.size() > 64) {
    return BadCertificate("its name has 1 to 64 characters");
  }
  X509Ptr cert(X509_new());
  X509NamePtr name(X509_NAME_new());
  unsigned char serial[16];
  if (!cert || !name || RAND_bytes(serial, sizeof serial) != 1) {
    return absl::ResourceExhaustedError("OpenSSL could not build the certificate");
  }
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x40);
  BnPtr number(BN_bin2bn(serial, sizeof serial, nullptr));
  if (!number || X509_set_version(cert.get(), X509_VERSION_3) != 1 ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(cert.get())) == nullptr ||
      ASN1_TIME_set(X509_getm_notBefore(cert.get()), absl::ToTimeT(not_before)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(cert.get()), absl::ToTimeT(not_after)) == nullptr ||
      X509_NAME_add_entry_by_NID(name.get(), NID_commonName, MBSTRING_UTF8, Bytes(common_name),
                                 static_cast<int>(common_name.size()), -1, 0) != 1 ||
      X509_set_subject_name(cert.get(), name.get()) != 1 ||
      X509_set_issuer_name(cert.get(), name.get()) != 1 ||
      X509_set_pubkey(cert.get(), key.get()) != 1 || !FillExtensions(cert.get()) ||
      X509_sign(cert.get(), key.get(), EVP_sha256()) == 0) {
    return absl::ResourceExhaustedError("OpenSSL could not build the certificate");
  }
  unsigned char* der = nullptr;
  const int size = i2d_X509(cert.get(), &der);
  std::string bytes = size > 0
                          ? std::string(reinterpret_cast<char*>(der), static_cast<size_t>(size))
                          : std::string();
  OPENSSL_free(der);
  return ReadEfiCertificate(bytes);
}

}  // namespace basalt::sign
