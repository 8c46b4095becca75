#include "machineconfig/sign/efi_signature.h"

#include <openssl/pkcs7.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/der.h"
#include "machineconfig/sign/openssl_ptr.h"

namespace basalt::sign {
namespace {

using Pkcs7Ptr = std::unique_ptr<PKCS7, OpenSslFree<PKCS7_free>>;
using StorePtr = std::unique_ptr<X509_STORE, OpenSslFree<X509_STORE_free>>;

absl::string_view View(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

template <typename T>
std::string DerOf(int (*write)(const T*, unsigned char**), const T* value) {
  unsigned char* der = nullptr;
  const int size = write(value, &der);
  std::string out = size > 0 ? std::string(reinterpret_cast<char*>(der), static_cast<size_t>(size))
                             : std::string();
  OPENSSL_free(der);
  return out;
}

X509Ptr CertificateOf(absl::string_view der) {
  const unsigned char* p = Bytes(der);
  return X509Ptr(d2i_X509(nullptr, &p, static_cast<long>(der.size())));
}

// PKCS#7 1.5, SignedData: one signer, his certificate, SHA-256 and RSA. With `attributes` they are
// what is signed, and `message` is what their digest is of.
std::string SignedData(const std::string& content_info, const std::string& attributes,
                       absl::string_view message, const EfiSigner& signer) {
  X509Ptr cert = CertificateOf(signer.certificate.der);
  const std::string issuer = DerOf(i2d_X509_NAME, X509_get_issuer_name(cert.get()));
  const std::string serial = DerOf(i2d_ASN1_INTEGER, X509_get0_serialNumber(cert.get()));
  // Signed as the SET that they are, written under a tag of the structure.
  const std::string signature =
      signer.key.Sign(attributes.empty() ? std::string(message) : der::Tagged(0x31, attributes));
  const std::string info =
      der::Sequence(der::Version1(), der::Sequence(issuer, serial), der::Sha256Algorithm(),
                    attributes.empty() ? std::string() : der::Tagged(0xa0, attributes),
                    der::RsaAlgorithm(), der::Octets(signature));
  return der::Sequence(der::Version1(), der::Set(der::Sha256Algorithm()), content_info,
                       der::Tagged(0xa0, signer.certificate.der), der::Set(info));
}

// SpcIndirectDataContent of a PE program, without its outer tag: what Authenticode signs.
std::string IndirectData(const Digest& digest) {
  // Flags, and a place for page hashes that says that there are none; the text is Microsoft's.
  std::string obsolete;
  for (char c : absl::string_view("<<<Obsolete>>>"))
    absl::StrAppend(&obsolete, std::string(1, '\0'), std::string(1, c));
  const std::string image =
      der::Sequence(der::Literal("\x03\x01\x00"),
                    der::Tagged(0xa0, der::Tagged(0xa2, der::Tagged(0x80, obsolete))));
  return absl::StrCat(der::Sequence(der::SpcPeImageData(), image),
                      der::Sequence(der::Sha256Algorithm(), der::Octets(View(digest))));
}

// The digest that a signature is about, and the bytes that it signs; "" when it is of another kind.
std::string SignedContent(PKCS7* p7) {
  if (!PKCS7_type_is_signed(p7) || p7->d.sign == nullptr || p7->d.sign->contents == nullptr)
    return "";
  const PKCS7* inner = p7->d.sign->contents;
  if (DerOf(i2d_ASN1_OBJECT, static_cast<const ASN1_OBJECT*>(inner->type)) !=
          der::SpcIndirectData() ||
      inner->d.other == nullptr || inner->d.other->type != V_ASN1_SEQUENCE) {
    return "";
  }
  const ASN1_STRING* text = inner->d.other->value.sequence;
  const unsigned char* p = ASN1_STRING_get0_data(text);
  long size = 0;
  int tag = 0, kind = 0;
  if ((ASN1_get_object(&p, &size, &tag, &kind, ASN1_STRING_length(text)) & 0x80) != 0) return "";
  return std::string(reinterpret_cast<const char*>(p), static_cast<size_t>(size));
}

Pkcs7Ptr ParsePkcs7(absl::string_view der) {
  const unsigned char* p = Bytes(der);
  return Pkcs7Ptr(d2i_PKCS7(nullptr, &p, static_cast<long>(der.size())));
}

// Does one of these certificates vouch for the signature? As firmware asks: any place in the chain,
// any purpose, any date.
bool Vouches(PKCS7* p7, absl::string_view content, const std::vector<std::string>& certificates) {
  StorePtr store(X509_STORE_new());
  BioPtr in(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  if (!store || !in) return false;
  for (const std::string& der : certificates) {
    if (X509Ptr cert = CertificateOf(der)) X509_STORE_add_cert(store.get(), cert.get());
  }
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
  X509_STORE_set_purpose(store.get(), X509_PURPOSE_ANY);
  return PKCS7_verify(p7, nullptr, store.get(), in.get(), nullptr, PKCS7_BINARY) == 1;
}

// Is the signature at least that of the certificate that it names?
bool Intact(PKCS7* p7, absl::string_view content) {
  BioPtr in(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  return in &&
         PKCS7_verify(p7, nullptr, nullptr, in.get(), nullptr, PKCS7_BINARY | PKCS7_NOVERIFY) == 1;
}

std::string NameOfSigner(PKCS7* p7) {
  STACK_OF(X509)* signers = PKCS7_get0_signers(p7, nullptr, 0);
  std::string name = "somebody";
  if (signers != nullptr && sk_X509_num(signers) > 0) {
    absl::StatusOr<EfiCertificate> read =
        ReadEfiCertificate(DerOf(i2d_X509, static_cast<const X509*>(sk_X509_value(signers, 0))));
    if (read.ok()) name = read->name;
  }
  sk_X509_free(signers);
  return name;
}

// A certificate whose signed part is listed, anywhere in what the signature brings.
bool ListsCertificate(PKCS7* p7, const std::vector<Digest>& digests) {
  if (digests.empty()) return false;
  const STACK_OF(X509)* certs = p7->d.sign->cert;
  for (int i = 0; i < sk_X509_num(certs); ++i) {
    X509* cert = sk_X509_value(certs, i);
    unsigned char* der = nullptr;
    const int size = i2d_re_X509_tbs(cert, &der);
    if (size <= 0) continue;
    const Digest digest =
        Sha256(absl::string_view(reinterpret_cast<char*>(der), static_cast<size_t>(size)));
    OPENSSL_free(der);
    if (std::find(digests.begin(), digests.end(), digest) != digests.end()) return true;
  }
  return false;
}

absl::Status Denied(absl::string_view code, std::string why, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kPermissionDenied, code,
                    absl::StrCat("the firmware of this machine would not start it: ", why), hint);
}

// --- variables

constexpr uint32_t kAttributes = 0x27;  // non-volatile, boot, runtime, authenticated by time
constexpr uint32_t kAppend = 0x40;
constexpr size_t kTimeSize = 16, kCertificateHeader = 24;  // EFI_TIME; WIN_CERTIFICATE_UEFI_GUID
constexpr char kPkcs7Guid[] = "4aafd29d-68df-49ee-8aa9-347d375665a7";

void Append(std::string& out, uint64_t value, int size) {
  for (int i = 0; i < size; ++i) out.push_back(static_cast<char>(value >> 8 * i));
}

uint32_t Little(absl::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

std::string EfiTime(absl::Time time) {
  const absl::CivilSecond t = absl::ToCivilSecond(time, absl::UTCTimeZone());
  std::string out;
  Append(out, static_cast<uint64_t>(t.year()), 2);
  for (int part : {t.month(), t.day(), t.hour(), t.minute(), t.second()}) {
    Append(out, static_cast<uint64_t>(part), 1);
  }
  out.resize(kTimeSize, '\0');  // what is finer, and the time zone, has to be zero
  return out;
}

// What a signature of a variable is about.
std::string SignedPart(const std::string& name, bool append, absl::string_view time,
                       absl::string_view content) {
  std::string out;
  for (char c : name) Append(out, static_cast<unsigned char>(c), 2);
  out += VendorOf(name).bytes;
  Append(out, append ? kAttributes | kAppend : kAttributes, 4);
  return absl::StrCat(out, time, content);
}

absl::Status BadUpdate(absl::string_view why) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-update",
                    absl::StrCat("not a signed write of a variable: ", why));
}

}  // namespace

absl::StatusOr<EfiSigner> MakeEfiSigner(EfiKey key, EfiCertificate certificate) {
  if (key.spki_der() != certificate.spki_der) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "wrong-certificate",
                      absl::StrCat("the certificate `", certificate.name, "` is of another key"),
                      "key and certificate that were made together: db.key and db.crt");
  }
  return EfiSigner{std::move(key), std::move(certificate)};
}

absl::StatusOr<std::string> SignEfiProgram(std::string program, const EfiSigner& signer) {
  ErrorQueueGuard guard;
  program = PadForSignature(std::move(program));
  absl::StatusOr<EfiProgram> inspected = InspectEfiProgram(ReadingOf(program), program.size());
  if (!inspected.ok()) return inspected.status();
  if (inspected->signatures_size > 0) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "already-signed",
                      "the program has a signature, and gets no second one",
                      "start from the unsigned one");
  }
  if (!inspected->gapless()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-program",
                      "the program has bytes between its sections that no signature would cover");
  }
  absl::StatusOr<Digest> digest = AuthenticodeDigest(ReadingOf(program), *inspected);
  if (!digest.ok()) return digest.status();
  const std::string content = IndirectData(*digest);
  // In the order of DER: the shorter one is the smaller one.
  const std::string attributes = absl::StrCat(
      der::Sequence(der::ContentTypeAttribute(), der::Set(der::SpcIndirectData())),
      der::Sequence(der::MessageDigestAttribute(), der::Set(der::Octets(View(Sha256(content))))));
  const std::string info =
      der::Sequence(der::SpcIndirectData(), der::Tagged(0xa0, der::Sequence(content)));
  const std::string pkcs7 = der::Sequence(
      der::Pkcs7SignedData(), der::Tagged(0xa0, SignedData(info, attributes, content, signer)));
  return AttachSignature(std::move(program), *inspected, pkcs7);
}

absl::StatusOr<EfiVerdict> CheckEfiProgram(const ReadBytes& read, uint64_t file_size,
                                           const EfiSignatures& allowed,
                                           const EfiSignatures& forbidden) {
  ErrorQueueGuard guard;
  absl::StatusOr<EfiProgram> program = InspectEfiProgram(read, file_size);
  if (!program.ok()) return program.status();
  absl::StatusOr<Digest> digest = AuthenticodeDigest(read, *program);
  if (!digest.ok()) return digest.status();
  absl::StatusOr<std::vector<std::string>> signatures = SignaturesOf(read, *program);
  if (!signatures.ok()) return signatures.status();
  EfiVerdict verdict{.digest = *digest};
  const auto listed = [](const std::vector<Digest>& list, const Digest& one) {
    return std::find(list.begin(), list.end(), one) != list.end();
  };
  constexpr char kOther[] = "another image: one that was built after the revocation";
  if (listed(forbidden.digests, *digest)) {
    return Denied("kernel-revoked", "its digest is in dbx", kOther);
  }
  bool changed = false;
  std::string stranger;
  for (const std::string& bytes : *signatures) {
    Pkcs7Ptr p7 = ParsePkcs7(bytes);
    const std::string content = p7 ? SignedContent(p7.get()) : "";
    // The digest is the end of it, in a form that has one place for it.
    if (content.empty() || !absl::EndsWith(content, der::Sequence(der::Sha256Algorithm(),
                                                                  der::Octets(View(*digest))))) {
      changed = true;
      continue;
    }
    if (!Intact(p7.get(), content)) {
      changed = true;
      continue;
    }
    if (ListsCertificate(p7.get(), forbidden.certificate_digests) ||
        (!forbidden.certificates.empty() && Vouches(p7.get(), content, forbidden.certificates))) {
      return Denied("kernel-revoked",
                    absl::StrCat("the certificate of `", NameOfSigner(p7.get()), "` is in dbx"),
                    kOther);
    }
    if (Vouches(p7.get(), content, allowed.certificates)) {
      if (verdict.signer.empty()) verdict.signer = NameOfSigner(p7.get());
    } else {
      stranger = NameOfSigner(p7.get());
    }
  }
  if (!verdict.signer.empty()) return verdict;
  if (listed(allowed.digests, *digest)) {
    verdict.signer = "by digest";
    return verdict;
  }
  if (!stranger.empty()) {
    return Denied(
        "kernel-signer-unknown",
        absl::StrCat("Secure Boot is on, and `", stranger, "`, who signed it, is not in db"),
        "build the image with --secureboot-key of this machine's owner, or add the "
        "certificate to db first");
  }
  if (changed) {
    return Denied("kernel-signature-bad",
                  "Secure Boot is on, and its signature is not about these bytes",
                  "build the image again: it was changed after it was signed");
  }
  return Denied("kernel-unsigned", "Secure Boot is on, and it has no signature",
                "build the image with --secureboot-key and --secureboot-cert");
}

std::string SignEfiUpdate(const EfiUpdate& update, const EfiSigner& signer) {
  ErrorQueueGuard guard;
  const std::string time = EfiTime(update.time);
  // Bare SignedData, as the specification has it: some firmware takes nothing around it.
  const std::string pkcs7 =
      SignedData(der::Sequence(der::Pkcs7Data()), "",
                 SignedPart(update.name, update.append, time, update.content), signer);
  std::string out = time;
  Append(out, kCertificateHeader + pkcs7.size(), 4);
  Append(out, 0x0200, 2);
  Append(out, 0x0ef1, 2);  // WIN_CERT_TYPE_EFI_GUID
  return absl::StrCat(out, EfiGuid::Parse(kPkcs7Guid).bytes, pkcs7, update.content);
}

absl::StatusOr<EfiUpdate> OpenEfiUpdate(const std::string& name, absl::string_view file,
                                        bool append, const EfiCertificate& certificate) {
  ErrorQueueGuard guard;
  if (file.size() < kTimeSize + kCertificateHeader) return BadUpdate("it is cut off");
  const size_t size = Little(file, kTimeSize, 4);
  if (size < kCertificateHeader || size > file.size() - kTimeSize ||
      Little(file, kTimeSize + 4, 2) != 0x0200 || Little(file, kTimeSize + 6, 2) != 0x0ef1 ||
      file.substr(kTimeSize + 8, 16) != EfiGuid::Parse(kPkcs7Guid).bytes) {
    return BadUpdate("no PKCS#7 signature in front");
  }
  const absl::string_view time = file.substr(0, kTimeSize);
  EfiUpdate out{
      .name = name, .append = append, .content = std::string(file.substr(kTimeSize + size))};
  const auto part = [&](size_t at) { return static_cast<int>(Little(time, at, 1)); };
  out.time = absl::FromCivil(absl::CivilSecond(static_cast<int>(Little(time, 0, 2)), part(2),
                                               part(3), part(4), part(5), part(6)),
                             absl::UTCTimeZone());
  if (EfiTime(out.time) != time) return BadUpdate("its time is none");
  const std::string pkcs7 = der::Sequence(
      der::Pkcs7SignedData(),
      der::Tagged(0xa0, file.substr(kTimeSize + kCertificateHeader, size - kCertificateHeader)));
  Pkcs7Ptr p7 = ParsePkcs7(pkcs7);
  if (!p7 || !PKCS7_type_is_signed(p7.get()) ||
      !Vouches(p7.get(), SignedPart(name, append, time, out.content), {certificate.der})) {
    return api::Coded(absl::StatusCode::kPermissionDenied, "bad-signature",
                      absl::StrCat("`", certificate.name, "` did not sign this write of ", name));
  }
  return out;
}

}  // namespace basalt::sign
