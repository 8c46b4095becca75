// Reading certificates. Only what is asked for is taken out, and what two readers could understand
// differently (a NUL inside a name, an extension twice) makes the whole certificate unreadable.
#include <arpa/inet.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/openssl_ptr.h"
#include "machineconfig/sign/x509.h"

namespace basalt::sign {
namespace {

constexpr size_t kMaxBundle = 1 << 20;
constexpr size_t kMaxCertificates = 256;
constexpr absl::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr absl::string_view kEnd = "-----END CERTIFICATE-----";

absl::Status BadCertificate(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-certificate", what,
                    "expected -----BEGIN CERTIFICATE----- and the rest of an X.509 certificate");
}

// The first CERTIFICATE block at or after `*from`, moved past it; empty when there is none.
absl::string_view NextBlock(absl::string_view text, size_t* from) {
  size_t begin = text.find(kBegin, *from);
  if (begin == absl::string_view::npos) return {};
  size_t end = text.find(kEnd, begin);
  if (end == absl::string_view::npos) return {};
  *from = end + kEnd.size();
  return text.substr(begin, *from - begin);
}

absl::StatusOr<X509Ptr> Parse(absl::string_view pem) {
  if (pem.size() > kMaxBundle) return BadCertificate("a certificate is not as long as this");
  size_t from = 0;
  absl::string_view block = NextBlock(pem, &from);
  if (block.empty()) return BadCertificate("no PEM certificate in the text");
  std::string body;
  for (char c : block.substr(kBegin.size(), block.size() - kBegin.size() - kEnd.size())) {
    if (!absl::ascii_isspace(c)) body += c;
  }
  auto der = Base64DecodeStrict(body);
  if (!der.ok()) return BadCertificate("the body of the PEM certificate is not base64");
  const unsigned char* p = Bytes(*der);
  X509Ptr cert(d2i_X509(nullptr, &p, static_cast<long>(der->size())));
  if (!cert || p != Bytes(*der) + der->size()) return BadCertificate("the certificate is damaged");
  return cert;
}

// UTF-8 of a name's value; nothing for text with a NUL.
bool Text(const ASN1_STRING* value, std::string* out) {
  unsigned char* utf8 = nullptr;
  int size = ASN1_STRING_to_UTF8(&utf8, value);
  if (size < 0) return false;
  out->assign(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return out->find('\0') == std::string::npos;
}

bool ReadName(const X509_NAME* name, int nid, std::vector<std::string>* out) {
  for (int i = -1; (i = X509_NAME_get_index_by_NID(name, nid, i)) >= 0;) {
    std::string text;
    if (!Text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)), &text)) return false;
    out->push_back(std::move(text));
  }
  return true;
}

std::string Der(const X509_NAME* name) {
  unsigned char* der = nullptr;
  int size = i2d_X509_NAME(name, &der);
  std::string out;
  if (size > 0) out.assign(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

// One extension; `*broken` when it is there twice or cannot be read.
template <typename T, auto Free>
std::unique_ptr<T, OpenSslFree<Free>> Extension(const X509* cert, int nid, bool* broken) {
  int state = 0;
  auto* value = static_cast<T*>(X509_get_ext_d2i(cert, nid, &state, nullptr));
  if (value == nullptr && state != -1) *broken = true;  // -1: not there
  return std::unique_ptr<T, OpenSslFree<Free>>(value);
}

std::string IpText(const ASN1_OCTET_STRING* bytes) {
  char text[INET6_ADDRSTRLEN];
  int size = ASN1_STRING_length(bytes);
  int family = size == 4 ? AF_INET : size == 16 ? AF_INET6 : 0;
  if (family == 0 || !inet_ntop(family, ASN1_STRING_get0_data(bytes), text, sizeof text)) return "";
  return text;
}

bool ReadAltNames(const X509* cert, CertificateInfo* out) {
  bool broken = false;
  auto names = Extension<GENERAL_NAMES, GENERAL_NAMES_free>(cert, NID_subject_alt_name, &broken);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    std::string text;
    if (name->type == GEN_DNS || name->type == GEN_URI) {
      if (!Text(name->type == GEN_DNS ? name->d.dNSName : name->d.uniformResourceIdentifier,
                &text)) {
        return false;
      }
      (name->type == GEN_DNS ? out->dns_names : out->uris).push_back(std::move(text));
    } else if (name->type == GEN_IPADD) {
      text = IpText(name->d.iPAddress);
      if (text.empty()) return false;
      out->ip_addresses.push_back(std::move(text));
    }
  }
  return !broken;
}

bool ReadUsage(const X509* cert, CertificateInfo* out) {
  bool broken = false;
  auto basic =
      Extension<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free>(cert, NID_basic_constraints, &broken);
  auto usage = Extension<ASN1_BIT_STRING, ASN1_BIT_STRING_free>(cert, NID_key_usage, &broken);
  auto extended =
      Extension<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>(cert, NID_ext_key_usage, &broken);
  // CA:TRUE only where the key usage, when it is there, lets the key sign certificates.
  constexpr int kKeyCertSign = 5;
  out->is_ca = basic && basic->ca != 0 &&
               (!usage || ASN1_BIT_STRING_get_bit(usage.get(), kKeyCertSign) == 1);
  // No list means any use in RFC 5280; here a certificate is good for what it names only.
  for (int i = 0; extended && i < sk_ASN1_OBJECT_num(extended.get()); ++i) {
    int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(extended.get(), i));
    out->server_auth |= nid == NID_server_auth;
    out->client_auth |= nid == NID_client_auth;
  }
  return !broken;
}

bool ReadTime(const ASN1_TIME* value, absl::Time* out) {
  std::tm tm{};
  if (ASN1_TIME_to_tm(value, &tm) != 1) return false;
  *out = absl::FromTM(tm, absl::UTCTimeZone());
  return true;
}

}  // namespace

absl::StatusOr<CertificateInfo> ReadCertificate(absl::string_view pem) {
  ErrorQueueGuard guard;
  auto parsed = Parse(pem);
  if (!parsed.ok()) return parsed.status();
  X509* cert = parsed->get();

  CertificateInfo out;
  std::vector<std::string> common_names;
  const X509_NAME* subject = X509_get_subject_name(cert);
  if (!ReadName(subject, NID_commonName, &common_names) ||
      !ReadName(subject, NID_organizationName, &out.organizations)) {
    return BadCertificate("a name in the certificate's subject cannot be read");
  }
  // Two common names: which of them a reader takes is anybody's guess.
  if (common_names.size() > 1)
    return BadCertificate("the certificate's subject has two common names");
  if (!common_names.empty()) out.common_name = std::move(common_names.front());
  if (!ReadAltNames(cert, &out) || !ReadUsage(cert, &out)) {
    return BadCertificate("an extension of the certificate is damaged or stands twice");
  }
  if (!ReadTime(X509_get0_notBefore(cert), &out.not_before) ||
      !ReadTime(X509_get0_notAfter(cert), &out.not_after)) {
    return BadCertificate("the certificate's dates cannot be read");
  }
  unsigned char* spki = nullptr;
  int spki_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki);
  if (spki_size <= 0) return BadCertificate("the certificate's public key cannot be read");
  out.spki = Sha256({reinterpret_cast<char*>(spki), static_cast<size_t>(spki_size)});
  OPENSSL_free(spki);
  unsigned int size = 0;
  if (X509_digest(cert, EVP_sha256(), out.fingerprint.bytes.data(), &size) != 1) {
    return BadCertificate("the certificate cannot be hashed");
  }
  out.issuer_der = Der(X509_get_issuer_name(cert));
  out.subject_der = Der(subject);
  return out;
}

absl::StatusOr<std::vector<std::string>> SplitPem(absl::string_view bundle) {
  if (bundle.size() > kMaxBundle) return BadCertificate("the bundle is longer than 1 MiB");
  std::vector<std::string> out;
  for (size_t from = 0;;) {
    absl::string_view block = NextBlock(bundle, &from);
    if (block.empty()) break;
    if (out.size() == kMaxCertificates)
      return BadCertificate("the bundle has more than 256 certificates");
    if (auto parsed = Parse(block); !parsed.ok()) {
      return api::Annotate(parsed.status(), absl::StrCat("certificate ", out.size() + 1));
    }
    out.push_back(absl::StrCat(block, "\n"));
  }
  if (out.empty()) return BadCertificate("no PEM certificate in the text");
  if (bundle.substr(bundle.rfind(kEnd)).find("-----BEGIN") != absl::string_view::npos) {
    return BadCertificate("the last certificate of the bundle is cut off");
  }
  return out;
}

bool IssuedBy(absl::string_view leaf_pem, absl::string_view ca_pem) {
  ErrorQueueGuard guard;
  auto leaf = Parse(leaf_pem);
  auto ca = Parse(ca_pem);
  auto info = ReadCertificate(ca_pem);
  if (!leaf.ok() || !ca.ok() || !info.ok() || !info->is_ca) return false;
  if (X509_NAME_cmp(X509_get_issuer_name(leaf->get()), X509_get_subject_name(ca->get())) != 0) {
    return false;
  }
  EVP_PKEY* key = X509_get0_pubkey(ca->get());
  return key != nullptr && X509_verify(leaf->get(), key) == 1;
}

std::optional<std::string> TwinOf(absl::string_view leaf_pem, absl::string_view ca_pem) {
  ErrorQueueGuard guard;
  auto leaf = Parse(leaf_pem);
  auto ca = Parse(ca_pem);
  if (!leaf.ok() || !ca.ok()) return std::nullopt;
  EVP_PKEY* key = X509_get0_pubkey(ca->get());
  char group_name[64] = "";
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_EC ||
      EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group_name, sizeof group_name,
                                     nullptr) != 1) {
    return std::nullopt;
  }
  std::unique_ptr<EC_GROUP, OpenSslFree<EC_GROUP_free>> group(
      EC_GROUP_new_by_curve_name(OBJ_txt2nid(group_name)));
  const ASN1_BIT_STRING* bits = nullptr;
  X509_get0_signature(&bits, nullptr, leaf->get());
  const unsigned char* p = ASN1_STRING_get0_data(bits);
  EcdsaSigPtr signature(d2i_ECDSA_SIG(nullptr, &p, ASN1_STRING_length(bits)));
  if (!group || !signature) return std::nullopt;
  BnPtr r(BN_dup(ECDSA_SIG_get0_r(signature.get()))), s(BN_new());
  if (!r || !s ||
      BN_sub(s.get(), EC_GROUP_get0_order(group.get()), ECDSA_SIG_get0_s(signature.get())) != 1 ||
      ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) {
    return std::nullopt;
  }
  static_cast<void>(r.release());  // set0: they belong to `signature` now
  static_cast<void>(s.release());
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  X509Ptr twin(X509_dup(leaf->get()));
  BioPtr bio(BIO_new(BIO_s_mem()));
  bool ok = size > 0 && twin && bio;
  if (ok) {
    X509_get0_signature(&bits, nullptr, twin.get());
    // OpenSSL has no setter for the signature alone; the certificate is ours.
    ok = ASN1_STRING_set(const_cast<ASN1_BIT_STRING*>(bits), der, size) == 1 &&
         PEM_write_bio_X509(bio.get(), twin.get()) == 1;
  }
  OPENSSL_free(der);
  return ok ? std::optional<std::string>(BioText(bio.get())) : std::nullopt;
}

}  // namespace basalt::sign
