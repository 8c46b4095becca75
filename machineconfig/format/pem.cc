#include "machineconfig/format/pem.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace basalt::format {
namespace {

constexpr int kMaxCertificates = 32;
constexpr absl::string_view kBegin = "-----BEGIN ";
constexpr absl::string_view kBeginCertificate = "-----BEGIN CERTIFICATE-----";

// Without a callback OpenSSL would ask the terminal for the password of an encrypted block.
int NoPassword(char*, int, int, void*) { return -1; }

}  // namespace

absl::Status CheckPemCertificates(absl::string_view text) {
  if (absl::StrContains(text, "PRIVATE KEY-----")) {
    return absl::InvalidArgumentError("holds a private key; only certificates belong here");
  }
  int begins = 0;
  for (size_t at = text.find(kBegin); at != absl::string_view::npos;
       at = text.find(kBegin, at + kBegin.size())) {
    if (!absl::StartsWith(text.substr(at), kBeginCertificate)) {
      return absl::InvalidArgumentError("holds a PEM block that is not a certificate");
    }
    ++begins;
  }
  if (begins == 0) {
    return absl::InvalidArgumentError(
        "not a PEM certificate: the text of the file, -----BEGIN CERTIFICATE----- and so on, as a "
        "literal block (`|`), not its path");
  }
  if (begins > kMaxCertificates) return absl::InvalidArgumentError("more than 32 certificates");
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free);
  int read = 0;
  while (true) {
    std::unique_ptr<X509, decltype(&X509_free)> certificate(
        PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr), &X509_free);
    if (certificate == nullptr) break;
    ++read;
  }
  ERR_clear_error();  // the end of the text leaves "no start line" behind
  if (read != begins && !absl::StrContains(absl::StripAsciiWhitespace(text), '\n')) {
    return absl::InvalidArgumentError(
        "a PEM certificate has lost its line ends: write it as a literal block (`certificate: |`)");
  }
  if (read != begins) {
    return absl::InvalidArgumentError(
        "a PEM certificate cannot be read: it is cut off or damaged; copy the file as it is");
  }
  return absl::OkStatus();
}

}  // namespace basalt::format
