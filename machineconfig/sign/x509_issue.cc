// Making certificates (RFC 5280) from typed values.
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <ctime>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/openssl_ptr.h"
#include "machineconfig/sign/x509.h"

namespace basalt::sign {
namespace {

absl::Status BadRequest(absl::string_view what, absl::string_view hint = "") {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-certificate-request", what, hint);
}

absl::Status OutOfMemory() {
  return absl::ResourceExhaustedError("OpenSSL could not build the certificate");
}

// A NUL or a control character in a name is read differently by different programs.
bool PlainText(absl::string_view text, size_t max) {
  if (text.empty() || text.size() > max) return false;
  for (unsigned char c : text) {
    if (c < 0x20 || c == 0x7f) return false;
  }
  return true;
}

bool AddName(X509_NAME* name, int nid, absl::string_view value) {
  return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, Bytes(value),
                                    static_cast<int>(value.size()), -1, 0) == 1;
}

bool AddExtension(X509* cert, int nid, void* value, bool critical) {
  return X509_add1_ext_i2d(cert, nid, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) == 1;
}

using AltNamesPtr = std::unique_ptr<GENERAL_NAMES, OpenSslFree<GENERAL_NAMES_free>>;
using StringPtr = std::unique_ptr<ASN1_OCTET_STRING, OpenSslFree<ASN1_OCTET_STRING_free>>;

bool AddAltName(GENERAL_NAMES* names, int type, StringPtr value) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (name == nullptr || !value) {
    GENERAL_NAME_free(name);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, value.release());
  if (sk_GENERAL_NAME_push(names, name) == 0) {
    GENERAL_NAME_free(name);
    return false;
  }
  return true;
}

StringPtr Ia5(absl::string_view text) {
  StringPtr out(ASN1_STRING_type_new(V_ASN1_IA5STRING));
  if (out && ASN1_STRING_set(out.get(), text.data(), static_cast<int>(text.size())) != 1) {
    out.reset();
  }
  return out;
}

absl::Status AddAltNames(X509* cert, const CertificateSpec& spec) {
  AltNamesPtr names(GENERAL_NAMES_new());
  if (!names) return OutOfMemory();
  for (const std::string& dns : spec.dns_names) {
    if (!PlainText(dns, 253) || dns.find(' ') != std::string::npos) {
      return BadRequest(absl::StrCat("`", dns, "` is no DNS name"));
    }
    if (!AddAltName(names.get(), GEN_DNS, Ia5(dns))) return OutOfMemory();
  }
  for (const std::string& ip : spec.ip_addresses) {
    StringPtr bytes(a2i_IPADDRESS(ip.c_str()));
    if (!bytes || ip.find('\0') != std::string::npos) {
      return BadRequest(absl::StrCat("`", ip, "` is no IP address"));
    }
    if (!AddAltName(names.get(), GEN_IPADD, std::move(bytes))) return OutOfMemory();
  }
  for (const std::string& uri : spec.uris) {
    if (!PlainText(uri, 1024) || uri.find(':') == std::string::npos) {
      return BadRequest(absl::StrCat("`", uri, "` is no URI"));
    }
    if (!AddAltName(names.get(), GEN_URI, Ia5(uri))) return OutOfMemory();
  }
  if (sk_GENERAL_NAME_num(names.get()) == 0) return absl::OkStatus();
  return AddExtension(cert, NID_subject_alt_name, names.get(), false) ? absl::OkStatus()
                                                                      : OutOfMemory();
}

bool AddBasicConstraints(X509* cert, bool is_ca) {
  std::unique_ptr<BASIC_CONSTRAINTS, OpenSslFree<BASIC_CONSTRAINTS_free>> value(
      BASIC_CONSTRAINTS_new());
  if (!value) return false;
  value->ca = is_ca ? 0xff : 0;
  return AddExtension(cert, NID_basic_constraints, value.get(), true);
}

bool AddKeyUsage(X509* cert, bool is_ca) {
  std::unique_ptr<ASN1_BIT_STRING, OpenSslFree<ASN1_BIT_STRING_free>> value(ASN1_BIT_STRING_new());
  if (!value) return false;
  // RFC 5280 4.2.1.3: bit 0 digitalSignature, 5 keyCertSign, 6 cRLSign.
  for (int bit : is_ca ? std::vector<int>{5, 6} : std::vector<int>{0}) {
    if (ASN1_BIT_STRING_set_bit(value.get(), bit, 1) != 1) return false;
  }
  return AddExtension(cert, NID_key_usage, value.get(), true);
}

bool AddExtendedKeyUsage(X509* cert, const CertificateSpec& spec) {
  if (!spec.server_auth && !spec.client_auth) return true;
  std::unique_ptr<EXTENDED_KEY_USAGE, OpenSslFree<EXTENDED_KEY_USAGE_free>> value(
      EXTENDED_KEY_USAGE_new());
  if (!value) return false;
  // OBJ_nid2obj gives static objects, which sk_pop_free leaves alone.
  if (spec.server_auth && !sk_ASN1_OBJECT_push(value.get(), OBJ_nid2obj(NID_server_auth))) {
    return false;
  }
  if (spec.client_auth && !sk_ASN1_OBJECT_push(value.get(), OBJ_nid2obj(NID_client_auth))) {
    return false;
  }
  return AddExtension(cert, NID_ext_key_usage, value.get(), false);
}

// RFC 7093 method 1: the left 160 bits of sha256 over the public key's bits.
StringPtr KeyIdentifier(const PublicKey& key) {
  Digest digest = Sha256(key.raw());
  StringPtr out(ASN1_OCTET_STRING_new());
  if (out && ASN1_OCTET_STRING_set(out.get(), digest.bytes.data(), 20) != 1) out.reset();
  return out;
}

bool AddKeyIdentifiers(X509* cert, const PublicKey& subject, StringPtr authority) {
  StringPtr own = KeyIdentifier(subject);
  if (!own || !AddExtension(cert, NID_subject_key_identifier, own.get(), false)) return false;
  std::unique_ptr<AUTHORITY_KEYID, OpenSslFree<AUTHORITY_KEYID_free>> value(AUTHORITY_KEYID_new());
  if (!value || !authority) return false;
  value->keyid = authority.release();
  return AddExtension(cert, NID_authority_key_identifier, value.get(), false);
}

// 127 random bits under a fixed top one: 16 bytes, positive, never zero (RFC 5280 4.1.2.2).
bool SetSerial(X509* cert) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);
  BnPtr number(BN_bin2bn(bytes, sizeof bytes, nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(cert)) != nullptr;
}

bool SetTime(ASN1_TIME* field, absl::Time when) {
  return ASN1_TIME_set(field, absl::ToTimeT(when)) != nullptr;
}

absl::StatusOr<X509Ptr> Build(const CertificateSpec& spec, const PublicKey& subject,
                              const X509_NAME* issuer_name, StringPtr authority) {
  if (!PlainText(spec.common_name, 64)) {
    return BadRequest(absl::StrCat("common name `", spec.common_name,
                                   "`: 1 to 64 characters, no control characters"));
  }
  for (const std::string& organization : spec.organizations) {
    if (!PlainText(organization, 64)) {
      return BadRequest(absl::StrCat("organization `", organization,
                                     "`: 1 to 64 characters, no control characters"));
    }
  }
  if (spec.not_after <= spec.not_before) return BadRequest("the certificate ends before it begins");
  // RFC 5280 dates end with the year 9999.
  static const absl::Time kLast = absl::FromUnixSeconds(253402300799);
  if (spec.not_before < absl::UnixEpoch() || spec.not_after > kLast) {
    return BadRequest("the certificate's dates lie outside 1970 to 9999");
  }
  if (spec.is_ca && (spec.server_auth || spec.client_auth)) {
    return BadRequest("a certificate is an authority or an end of a connection, not both");
  }

  X509Ptr cert(X509_new());
  X509NamePtr name(X509_NAME_new());
  if (!cert || !name || X509_set_version(cert.get(), X509_VERSION_3) != 1 ||
      !SetSerial(cert.get()) || !SetTime(X509_getm_notBefore(cert.get()), spec.not_before) ||
      !SetTime(X509_getm_notAfter(cert.get()), spec.not_after)) {
    return OutOfMemory();
  }
  for (const std::string& organization : spec.organizations) {
    if (!AddName(name.get(), NID_organizationName, organization)) {
      return BadRequest(absl::StrCat("organization `", organization, "` is not UTF-8"));
    }
  }
  if (!AddName(name.get(), NID_commonName, spec.common_name)) {
    return BadRequest(absl::StrCat("common name `", spec.common_name, "` is not UTF-8"));
  }
  const unsigned char* p = Bytes(subject.spki_der());
  EvpPkeyPtr key(d2i_PUBKEY(nullptr, &p, static_cast<long>(subject.spki_der().size())));
  if (!key) return BadRequest("the certificate's public key cannot be read");
  if (X509_set_subject_name(cert.get(), name.get()) != 1 ||
      X509_set_issuer_name(cert.get(), issuer_name ? issuer_name : name.get()) != 1 ||
      X509_set_pubkey(cert.get(), key.get()) != 1 || !AddBasicConstraints(cert.get(), spec.is_ca) ||
      !AddKeyUsage(cert.get(), spec.is_ca) || !AddExtendedKeyUsage(cert.get(), spec)) {
    return OutOfMemory();
  }
  if (absl::Status status = AddAltNames(cert.get(), spec); !status.ok()) return status;
  if (!AddKeyIdentifiers(cert.get(), subject,
                         authority ? std::move(authority) : KeyIdentifier(subject))) {
    return OutOfMemory();
  }
  return cert;
}

absl::StatusOr<std::string> SignAndPrint(X509* cert, const PrivateKey& key) {
  const EVP_MD* md = key.public_key().algorithm() == Algorithm::kEd25519 ? nullptr : EVP_sha256();
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || X509_sign(cert, key.get(), md) == 0 || PEM_write_bio_X509(bio.get(), cert) != 1) {
    return OutOfMemory();
  }
  return BioText(bio.get());
}

}  // namespace

absl::StatusOr<std::string> SelfSign(const CertificateSpec& spec, const PrivateKey& key) {
  ErrorQueueGuard guard;
  auto cert = Build(spec, key.public_key(), nullptr, nullptr);
  if (!cert.ok()) return cert.status();
  return SignAndPrint(cert->get(), key);
}

absl::StatusOr<std::string> Issue(const CertificateSpec& spec, const PublicKey& subject,
                                  absl::string_view issuer_pem, const PrivateKey& issuer_key) {
  ErrorQueueGuard guard;
  auto info = ReadCertificate(issuer_pem);
  if (!info.ok()) return api::Annotate(info.status(), "the issuer's certificate");
  if (!info->is_ca) {
    return BadRequest("the issuer's certificate is no certificate authority (CA:TRUE is missing)",
                      "use the cluster's ca.crt and ca.key");
  }
  if (info->spki != issuer_key.public_key().id()) {
    return BadRequest("the issuer's key does not belong to its certificate",
                      "use the key that was made together with the certificate");
  }
  BioPtr bio(BIO_new_mem_buf(issuer_pem.data(), static_cast<int>(issuer_pem.size())));
  X509Ptr issuer(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!issuer) return BadRequest("the issuer's certificate cannot be read");
  // What the issuer calls itself, so that chains built by others match; an issuer that does not
  // say is known by its key.
  StringPtr authority;
  if (const ASN1_OCTET_STRING* skid = X509_get0_subject_key_id(issuer.get())) {
    authority.reset(ASN1_OCTET_STRING_dup(skid));
  } else {
    authority = KeyIdentifier(issuer_key.public_key());
  }
  auto cert = Build(spec, subject, X509_get_subject_name(issuer.get()), std::move(authority));
  if (!cert.ok()) return cert.status();
  return SignAndPrint(cert->get(), issuer_key);
}

}  // namespace basalt::sign
