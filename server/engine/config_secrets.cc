#include "server/engine/config_secrets.h"

#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/seal/config.h"
#include "machineconfig/validate/validate.h"

namespace basalt::engine {
namespace {

// What the library says of an identity that does not fit, in the words of a node.
std::vector<api::Violation> InWordsOfTheNode(std::vector<api::Violation> wrong,
                                             const trust::SealingKey& key) {
  for (api::Violation& violation : wrong) {
    if (violation.reason != "no-matching-identity") continue;
    violation.reason = "wrong-recipient";
    violation.message = absl::StrCat(
        "it is sealed to keys that this node does not have; secrets for it are sealed to ",
        key.recipient());
    violation.hint = "nodectl pin NAME asks the node for its recipient; then sign again";
  }
  return wrong;
}

}  // namespace

ConfigPtr Own(v1::MachineConfig config) {
  auto* owned = new v1::MachineConfig(std::move(config));
  return ConfigPtr(owned, [owned](const v1::MachineConfig*) {
    schema::CleanseSecrets(*owned);
    delete owned;
  });
}

absl::StatusOr<v1::MachineConfig> OpenForApply(v1::MachineConfig config,
                                               const trust::SealingKey& key) {
  std::vector<api::Violation> wrong = seal::OpenSecrets(config, key.keys());
  if (!wrong.empty()) return api::Invalid(InWordsOfTheNode(std::move(wrong), key));
  validate::Findings findings = validate::Validate(config, validate::Stage::kComplete);
  if (!findings.ok()) return api::Invalid(findings.errors);
  return config;
}

std::string OpenAccepted(v1::MachineConfig& config, const trust::SealingKey& key) {
  const std::vector<api::Violation> wrong =
      InWordsOfTheNode(seal::OpenSecrets(config, key.keys()), key);
  return absl::StrJoin(wrong, "; ", [](std::string* out, const api::Violation& violation) {
    absl::StrAppend(out, violation.path, ": ", violation.message);
  });
}

std::string OpenAccepted(v1::MachineConfig& config, absl::Span<const seal::Identity> keys) {
  const std::vector<api::Violation> wrong = seal::OpenSecrets(config, keys);
  return wrong.empty() ? "" : absl::StrCat(wrong.size(), " secrets do not open");
}

absl::Status CheckOpened(const v1::MachineConfig* config) {
  if (config == nullptr) return absl::OkStatus();
  const std::vector<std::string> paths = schema::SealedSecrets(*config);
  if (paths.empty()) return absl::OkStatus();
  return api::Coded(absl::StatusCode::kFailedPrecondition, "secrets-not-opened",
                    absl::StrCat("secrets of the config do not open with this node's key: ",
                                 absl::StrJoin(paths, ", ")),
                    "pin the node again (nodectl pin NAME), then apply its config again");
}

v1::MachineConfig WithSecretsOf(v1::MachineConfig source, const v1::MachineConfig& running) {
  std::map<std::string, std::string> known;
  v1::MachineConfig from = running;
  schema::VisitSecrets(from, [&](const std::string& path, v1::Secret& secret) {
    if (secret.has_plain()) known[path] = secret.plain();
  });
  schema::CleanseSecrets(from);
  schema::VisitSecrets(source, [&](const std::string& path, v1::Secret& secret) {
    auto it = known.find(path);
    if (it != known.end()) {
      secret.set_plain(it->second);
    } else if (secret.has_sealed()) {
      secret.set_plain("(sealed)");
    }
  });
  return source;
}

}  // namespace basalt::engine
