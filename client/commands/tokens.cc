#include "client/commands/tokens.h"

#include <openssl/crypto.h>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/sealing.h"
#include "client/context/files.h"
#include "machineconfig/base/digest.h"

namespace basalt::client {

absl::StatusOr<seal::SecretBytes> NewToken() {
  seal::SecretBytes raw(32);
  if (!RandomBytes(raw.data(), raw.size())) {
    return api::Coded(absl::StatusCode::kUnavailable, "no-randomness", "no random bytes to be had");
  }
  std::string hex = HexEncode(raw.view());
  seal::SecretBytes out(hex);
  OPENSSL_cleanse(hex.data(), hex.size());
  return out;
}

absl::StatusOr<seal::SecretBytes> OpenClusterSecret(Session& session, const std::string& file,
                                                    const ClusterSecret& secret) {
  if (!secret.sealed) return seal::SecretBytes(secret.text);
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<std::vector<seal::Identity>> identities = LoadIdentities(session, {});
  if (!identities.ok()) return identities.status();
  absl::StatusOr<seal::SecretBytes> value = seal::OpenField(
      ClusterSecretField((*context)->cluster, secret.name), secret.text, *identities);
  if (!value.ok()) {
    return api::InFile(
        api::WithDetail(api::Annotate(value.status(), secret.name), "path", secret.name), file);
  }
  return value;
}

absl::StatusOr<seal::SecretBytes> ReadToken(Session& session, const std::string& name) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  const std::string& file = (*context)->secrets;
  absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) {
    return api::Coded(text.status().code(), api::Reason(text.status()), text.status().message(),
                      "`nodectl gen secrets` makes it, for a new cluster; else copy it from the "
                      "cluster's own directory");
  }
  absl::StatusOr<std::vector<ClusterSecret>> all = ReadClusterSecrets(*text, file);
  if (!all.ok()) return all.status();
  for (const ClusterSecret& secret : *all) {
    if (secret.name == name && !secret.text.empty()) {
      return OpenClusterSecret(session, file, secret);
    }
  }
  return api::WithDetail(
      api::Coded(absl::StatusCode::kNotFound, "no-token",
                 absl::StrCat(file, " has no `", name, "`"),
                 "`nodectl gen secrets` makes what is missing, for a new cluster; else copy it "
                 "from the cluster's own directory"),
      "file", file);
}

}  // namespace basalt::client
