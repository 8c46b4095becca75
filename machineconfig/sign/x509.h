// Certificates: issuing and reading, from typed values only (never by pasting text into OpenSSL's
// extension language). Used for the node's self-signed certificate, the owner's CA and client
// certificates, and K3s's short-lived kubeconfigs. Pure, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/keys.h"

namespace basalt::sign {

struct CertificateSpec {
  std::string common_name;
  std::vector<std::string> organizations;  // "basalt:admin"; "system:masters" for a kubeconfig
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::vector<std::string> uris;  // "basalt://CLUSTER/NAME"
  bool is_ca = false;
  bool server_auth = false;
  bool client_auth = false;
  absl::Time not_before;
  absl::Time not_after;
};

absl::StatusOr<std::string> SelfSign(const CertificateSpec& spec, const PrivateKey& key);
// `issuer_pem` must be a CA certificate whose key is `issuer_key`.
absl::StatusOr<std::string> Issue(const CertificateSpec& spec, const PublicKey& subject,
                                  absl::string_view issuer_pem, const PrivateKey& issuer_key);

struct CertificateInfo {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::vector<std::string> uris;
  bool is_ca = false;
  bool server_auth = false;
  bool client_auth = false;
  absl::Time not_before;
  absl::Time not_after;
  Digest fingerprint;  // of the DER certificate
  Digest spki;         // of the DER SPKI: what pins compare
  std::string issuer_der;
  std::string subject_der;
};
// The first certificate of the PEM text.
absl::StatusOr<CertificateInfo> ReadCertificate(absl::string_view pem);
// Every certificate of a bundle, each as PEM.
absl::StatusOr<std::vector<std::string>> SplitPem(absl::string_view bundle);
// Was `leaf_pem` issued directly by `ca_pem` (signature, CA:TRUE, names)? Times are not looked at.
bool IssuedBy(absl::string_view leaf_pem, absl::string_view ca_pem);
// An ECDSA signature (r, s) has a twin (r, n - s) that is as good and that anybody can compute: a
// certificate that an ECDSA key issued exists under two fingerprints. The other one of `leaf_pem`,
// issued by `ca_pem`; nothing for other algorithms and for what cannot be read.
std::optional<std::string> TwinOf(absl::string_view leaf_pem, absl::string_view ca_pem);

}  // namespace basalt::sign
