#include "server/trust/identity.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/x509.h"

namespace basalt::trust {
namespace {

constexpr char kKeyFile[] = "state/identity.key";
// The certificate's dates are for libraries that insist on some: pins compare the key. A node
// without a clock may stand years behind its peers, so the first day is well in the past.
constexpr int64_t kValidFromUnix = 1704067200;  // 2024-01-01T00:00:00Z
constexpr absl::Duration kValidity = absl::Hours(24 * 3652);

absl::Status Damaged(absl::string_view why) {
  return api::Coded(
      absl::StatusCode::kDataLoss, "identity-damaged",
      absl::StrCat(kKeyFile, " cannot be used: ", why),
      "restore the file from a backup; removing it gives the node a new identity, which every "
      "client must pin anew and every signed config must name anew");
}

absl::StatusOr<sign::PrivateKey> ReadOrMakeKey(host::Vfs& vfs) {
  auto text = vfs.Read(kKeyFile, 64 << 10);
  if (text.ok()) {
    auto key = sign::PrivateKey::FromPem(*text);
    if (!key.ok()) return Damaged(key.status().message());
    if (key->public_key().algorithm() != sign::Algorithm::kEd25519) {
      return Damaged("it holds a key of another algorithm than Ed25519");
    }
    return key;
  }
  if (!absl::IsNotFound(text.status())) return Damaged(text.status().message());

  sign::PrivateKey key = sign::PrivateKey::GenerateEd25519();
  if (absl::Status status = vfs.MakeDirs("state", 0700); !status.ok()) return status;
  if (absl::Status status = vfs.Replace(kKeyFile, key.Pem(), 0600); !status.ok()) {
    return api::Annotate(status, "storing the new identity key");
  }
  return key;
}

}  // namespace

absl::StatusOr<Identity> Identity::Load(host::Vfs& vfs, host::Clock& clock) {
  auto key = ReadOrMakeKey(vfs);
  if (!key.ok()) return key.status();
  const absl::Time floor = absl::FromUnixSeconds(kValidFromUnix);
  sign::CertificateSpec spec{
      .common_name = key->public_key().id().Hex(),
      .server_auth = true,
      .not_before = floor,
      .not_after = std::max(clock.Now(), floor) + kValidity,
  };
  auto certificate = sign::SelfSign(spec, *key);
  if (!certificate.ok()) return certificate.status();
  return Identity(*std::move(key), *std::move(certificate));
}

}  // namespace basalt::trust
