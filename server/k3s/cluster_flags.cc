#include "server/k3s/cluster_flags.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "machineconfig/schema/k3s_keys.h"
#include "server/k3s/render.h"

namespace basalt::k3s {
namespace {

std::string Text(const v1::ConfigValue& value) {
  switch (value.value_case()) {
    case v1::ConfigValue::kBoolean:
      return value.boolean() ? "true" : "false";
    case v1::ConfigValue::kInteger:
      return absl::StrCat(value.integer());
    case v1::ConfigValue::kText:
      return value.text();
    case v1::ConfigValue::kList:
      return absl::StrJoin(value.list().values(), ",");
    case v1::ConfigValue::VALUE_NOT_SET:
      break;
  }
  return "";
}

}  // namespace

std::map<std::string, std::string> ClusterFlags(const v1::K3s& k3s) {
  std::map<std::string, std::string> flags;
  if (!IsServer(k3s) || !(UsesEtcd(k3s) || k3s.has_datastore())) return flags;
  for (const auto& [name, value] : k3s.config()) {
    const schema::K3sKey* key = schema::FindK3sKey(name);
    if (key != nullptr && key->cluster_scoped && !key->secret) flags[name] = Text(value);
  }
  if (k3s.has_hardening()) flags["hardening"] = k3s.hardening().profile();
  bool servicelb = true;
  if (auto it = k3s.config().find("disable"); it != k3s.config().end()) {
    const auto& names = it->second.list().values();
    servicelb = it->second.text() != "servicelb" &&
                std::find(names.begin(), names.end(), "servicelb") == names.end();
  }
  flags["servicelb"] = servicelb ? "enabled" : "disabled";
  return flags;
}

}  // namespace basalt::k3s
