// What firmware takes for Secure Boot and TPMs for policies: RSA with 2048 bits, SHA-256, and
// certificates that an owner signs for himself. Nothing else of Basalt uses RSA: documents are
// signed with keys.h. Values, thread-safe. Reasons: those of keys.h; bad-certificate.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace basalt::sign {

class EfiKey {
 public:
  static EfiKey Generate();
  // PKCS#8 as keys.h has it. RSA with 2048 to 4096 bits, else "unsupported-key".
  static absl::StatusOr<EfiKey> FromPem(absl::string_view pem, absl::string_view passphrase = "");
  std::string Pem(absl::string_view passphrase = "") const;

  std::string PublicPem() const;
  std::string spki_der() const;
  // The key without what says that it is RSA (PKCS#1): what systemd knows keys by.
  std::string pkcs1_der() const;
  // PKCS#1 v1.5 with SHA-256: the same message gives the same bytes.
  std::string Sign(absl::string_view message) const;
  EVP_PKEY* get() const { return key_.get(); }  // not owned by the caller

 private:
  std::shared_ptr<EVP_PKEY> key_;
};

// RSASSA-PKCS1-v1_5 with SHA-256 by the key in `public_pem`.
bool VerifyRsa(absl::string_view public_pem, absl::string_view message,
               absl::string_view signature);

// A certificate as firmware keeps it.
struct EfiCertificate {
  std::string der;
  std::string name;      // its common name
  std::string spki_der;  // to ask whose it is
  bool operator==(const EfiCertificate&) const = default;
};
absl::StatusOr<EfiCertificate> ReadEfiCertificate(absl::string_view der);
absl::StatusOr<EfiCertificate> ReadEfiCertificatePem(absl::string_view pem);
std::string EfiCertificatePem(const EfiCertificate& certificate);

// Firmware has no clock to trust and looks at no dates; they say when the key was made.
absl::StatusOr<EfiCertificate> SelfSignEfi(const std::string& common_name, const EfiKey& key,
                                           absl::Time not_before, absl::Time not_after);

}  // namespace basalt::sign
