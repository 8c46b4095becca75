#include "tests/support/k3s_double/pki.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "tests/support/k3s_double/process.h"

namespace basalt::k3s_double {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Cert = std::unique_ptr<X509, decltype(&X509_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

std::string Text(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

void Extension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) Fatal("cannot make a certificate extension: " + value);
  X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
}

Cert NewCertificate(EVP_PKEY* key, const std::string& common_name, const std::string& organization,
                    int days) {
  Cert cert(X509_new(), X509_free);
  X509_set_version(cert.get(), 2);
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -300);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), 86400L * days);
  X509_NAME* name = X509_get_subject_name(cert.get());
  if (!organization.empty()) {
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(organization.c_str()), -1, -1,
                               0);
  }
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  X509_set_pubkey(cert.get(), key);
  return cert;
}

KeyPair ToPem(X509* cert, EVP_PKEY* key) {
  Bio a(BIO_new(BIO_s_mem()), BIO_free), b(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(a.get(), cert);
  PEM_write_bio_PrivateKey_traditional(b.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return {Text(a.get()), Text(b.get())};
}

bool IsAddress(const std::string& text) {
  ASN1_OCTET_STRING* ip = a2i_IPADDRESS(text.c_str());
  bool is = ip != nullptr;
  ASN1_OCTET_STRING_free(ip);
  return is;
}

}  // namespace

KeyPair MakeCa(const std::string& common_name) {
  Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  Cert cert = NewCertificate(key.get(), common_name, "", 3650);
  X509_set_issuer_name(cert.get(), X509_get_subject_name(cert.get()));
  Extension(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE");
  Extension(cert.get(), cert.get(), NID_key_usage,
            "critical,digitalSignature,keyEncipherment,keyCertSign");
  Extension(cert.get(), cert.get(), NID_subject_key_identifier, "hash");
  X509_sign(cert.get(), key.get(), EVP_sha256());
  return ToPem(cert.get(), key.get());
}

KeyPair IssueFrom(const KeyPair& ca, const std::string& common_name,
                  const std::string& organization, const std::vector<std::string>& addresses) {
  Bio a(BIO_new_mem_buf(ca.certificate.data(), static_cast<int>(ca.certificate.size())), BIO_free);
  Bio b(BIO_new_mem_buf(ca.key.data(), static_cast<int>(ca.key.size())), BIO_free);
  Cert issuer(PEM_read_bio_X509(a.get(), nullptr, nullptr, nullptr), X509_free);
  Key issuer_key(PEM_read_bio_PrivateKey(b.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  if (!issuer || !issuer_key) Fatal("the stored CA is damaged");
  Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  Cert cert = NewCertificate(key.get(), common_name, organization, 365);
  X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer.get()));
  Extension(cert.get(), issuer.get(), NID_key_usage, "critical,digitalSignature,keyEncipherment");
  Extension(cert.get(), issuer.get(), NID_ext_key_usage,
            addresses.empty() ? "clientAuth" : "serverAuth");
  Extension(cert.get(), issuer.get(), NID_authority_key_identifier, "keyid");
  std::string names;
  for (const std::string& address : addresses) {
    if (!names.empty()) names += ",";
    names += (IsAddress(address) ? "IP:" : "DNS:") + address;
  }
  if (!names.empty()) Extension(cert.get(), issuer.get(), NID_subject_alt_name, names);
  X509_sign(cert.get(), issuer_key.get(), EVP_sha256());
  return ToPem(cert.get(), key.get());
}

}  // namespace basalt::k3s_double
