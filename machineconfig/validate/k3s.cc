#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/k3s_rules.h"
#include "machineconfig/validate/rules.h"

namespace basalt::validate {
namespace {

std::optional<format::K3sVersion> Version(const v1::K3s& k3s) {
  const auto version = format::ParseK3sVersion(k3s.version());
  if (!version.ok() || version->major != 1) return std::nullopt;
  return *version;
}

const v1::ConfigValue* Find(const v1::K3s& k3s, absl::string_view key) {
  const auto it = k3s.config().find(std::string(key));
  return it == k3s.config().end() ? nullptr : &it->second;
}

}  // namespace

bool Present(const v1::Secret& secret) { return secret.value_case() != v1::Secret::VALUE_NOT_SET; }

std::string ConfigPath(absl::string_view key) { return schema::Element("k3s.config", key); }

K3sFacts::K3sFacts(const v1::MachineConfig& c)
    : config(c),
      k3s(c.k3s()),
      server(k3s.role() == v1::K3S_ROLE_SERVER),
      agent(k3s.role() == v1::K3S_ROLE_AGENT),
      etcd(server && !k3s.has_datastore() && (k3s.cluster().init() || k3s.cluster().has_server())),
      version(Version(k3s)) {}

bool K3sFacts::Has(absl::string_view key) const { return Find(k3s, key) != nullptr; }

bool K3sFacts::On(absl::string_view key) const {
  const v1::ConfigValue* value = Find(k3s, key);
  return value != nullptr && value->boolean();
}

std::string K3sFacts::Text(absl::string_view key) const {
  const v1::ConfigValue* value = Find(k3s, key);
  return value == nullptr ? "" : value->text();
}

int64_t K3sFacts::Number(absl::string_view key, int64_t otherwise) const {
  const v1::ConfigValue* value = Find(k3s, key);
  return value != nullptr && value->has_integer() ? value->integer() : otherwise;
}

std::vector<Placed> K3sFacts::Arguments(absl::string_view key) const {
  std::vector<Placed> out;
  const v1::ConfigValue* value = Find(k3s, key);
  if (value == nullptr) return out;
  const std::string path = ConfigPath(key);
  if (value->has_text()) out.push_back({value->text(), path});
  for (int i = 0; i < value->list().values_size(); ++i) {
    out.push_back({value->list().values(i), schema::Element(path, i)});
  }
  return out;
}

std::vector<Placed> K3sFacts::Values(absl::string_view key) const {
  std::vector<Placed> out;
  for (const Placed& element : Arguments(key)) {
    for (absl::string_view part : absl::StrSplit(element.value, ',')) {
      out.push_back({std::string(absl::StripAsciiWhitespace(part)), element.path});
    }
  }
  return out;
}

std::optional<Placed> K3sFacts::Argument(absl::string_view key, absl::string_view name) const {
  std::optional<Placed> found;
  for (Placed& argument : Arguments(key)) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(argument.value, absl::MaxSplits('=', 1));
    if (parts.first == name) found = Placed{std::string(parts.second), argument.path};
  }
  return found;
}

bool K3sFacts::Disables(absl::string_view component) const {
  for (const Placed& value : Values("disable")) {
    if (value.value == component) return true;
  }
  return false;
}

void CheckK3s(const v1::MachineConfig& config, Report& report) {
  const K3sFacts facts(config);
  CheckK3sRole(facts, report);
  CheckK3sTokens(facts, report);
  CheckK3sDatastore(facts, report);
  CheckK3sSnapshots(facts, report);
  CheckK3sConfig(facts, report);
  CheckK3sValues(facts, report);
  CheckK3sArguments(facts, report);
  CheckK3sKubelet(facts, report);
  CheckK3sNetwork(facts, report);
  CheckK3sPorts(facts, report);
  CheckK3sFlannel(facts, report);
  CheckK3sNode(facts, report);
  CheckK3sHealth(facts, report);
  CheckK3sEnv(facts, report);
  CheckK3sComponents(facts, report);
  CheckK3sHardening(facts, report);
  CheckK3sImages(facts, report);
  CheckK3sRegistries(facts, report);
}

}  // namespace basalt::validate
