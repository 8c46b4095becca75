#include "client/commands/secret_check.h"

#include <algorithm>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/merge/set_path.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::client {
namespace {

// False when there is no such place.
bool SetSecret(v1::MachineConfig& config, const std::string& path,
               absl::FunctionRef<void(v1::Secret&)> set) {
  if (!merge::SetPath(absl::StrCat(path, "=x"), config).ok()) return false;
  bool found = false;
  schema::VisitSecrets(config, [&](const std::string& at, v1::Secret& secret) {
    if (at != path) return;
    set(secret);
    found = true;
  });
  return found;
}

// Of `all` what is said of `path`, and not in `otherwise` too.
std::vector<api::Violation> Only(const std::vector<api::Violation>& all, const std::string& path,
                                 const std::vector<api::Violation>& otherwise) {
  std::vector<api::Violation> out;
  for (const api::Violation& one : all) {
    if (one.path != path) continue;
    if (std::find(otherwise.begin(), otherwise.end(), one) == otherwise.end()) out.push_back(one);
  }
  return out;
}

}  // namespace

SecretFindings CheckSecretValue(v1::MachineConfig config, const std::string& path,
                                absl::string_view value, const std::string& file) {
  v1::MachineConfig sealed = config;
  if (!SetSecret(sealed, path, [](v1::Secret& secret) { secret.set_sealed("x"); })) return {};
  SetSecret(config, path, [&](v1::Secret& secret) { secret.set_plain(std::string(value)); });
  const validate::Findings with = validate::Validate(config, validate::Stage::kSource, {}, file);
  const validate::Findings without = validate::Validate(sealed, validate::Stage::kSource, {}, file);
  schema::CleanseSecrets(config);
  return {.errors = Only(with.errors, path, without.errors),
          .warnings = Only(with.warnings, path, without.warnings)};
}

std::string SecretAlone(const std::string& path, absl::string_view armored) {
  v1::MachineConfig config;
  const bool there =
      SetSecret(config, path, [&](v1::Secret& secret) { secret.set_sealed(std::string(armored)); });
  return there ? yaml::Emit(config) : "";
}

}  // namespace basalt::client
