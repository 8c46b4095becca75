#include "machineconfig/seal/config.h"

#include "machineconfig/schema/secrets.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::seal {

FieldContext FieldOf(const v1::MachineConfig& config, const std::string& path) {
  return {.cluster = config.metadata().cluster(), .name = config.metadata().name(), .path = path};
}

absl::Status CheckValue(absl::string_view value) {
  if (value.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "empty-value", "the value is empty");
  }
  // What a config can hold is what is written and read back.
  v1::MachineConfig config, again;
  config.mutable_k3s()->mutable_token()->set_plain(std::string(value));
  const bool same =
      yaml::Decode(yaml::Emit(config), "", again).ok() && again.k3s().token().plain() == value;
  schema::CleanseSecrets(config);
  schema::CleanseSecrets(again);
  if (same) return absl::OkStatus();
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-value",
                    "a config cannot hold the value: it is not UTF-8, or has characters that "
                    "nobody sees",
                    "encode it, e.g. with base64, if its reader can decode it");
}

std::vector<api::Violation> OpenSecrets(v1::MachineConfig& config,
                                        absl::Span<const Identity> identities) {
  std::vector<api::Violation> wrong;
  schema::VisitSecrets(config, [&](const std::string& path, v1::Secret& secret) {
    if (!secret.has_sealed()) return;
    absl::StatusOr<SecretBytes> value =
        OpenField(FieldOf(config, path), secret.sealed(), identities);
    const absl::Status status = value.ok() ? CheckValue(value->view()) : value.status();
    if (status.ok()) return secret.set_plain(std::string(value->view()));
    wrong.push_back({.reason = api::Reason(status),
                     .path = path,
                     .message = std::string(status.message()),
                     .hint = api::Hint(status)});
  });
  return wrong;
}

absl::Status SealSecrets(v1::MachineConfig& config, absl::Span<const Recipient> recipients,
                         Random random) {
  absl::Status status;
  schema::VisitSecrets(config, [&](const std::string& path, v1::Secret& secret) {
    if (!status.ok() || !secret.has_plain()) return;
    absl::StatusOr<std::string> armored =
        SealField(FieldOf(config, path), secret.plain(), recipients, random);
    if (!armored.ok()) {
      status = api::WithDetail(api::Annotate(armored.status(), path), "path", path);
      return;
    }
    OPENSSL_cleanse(secret.mutable_plain()->data(), secret.plain().size());
    secret.set_sealed(*std::move(armored));
  });
  return status;
}

}  // namespace basalt::seal
