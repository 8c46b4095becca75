#include "server/k3s/cluster_flags.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/k3s/render.h"

namespace basalt::k3s {
namespace {

constexpr const char* kCritical[] = {"cluster-cidr",
                                     "cluster-dns",
                                     "cluster-domain",
                                     "disable-cloud-controller",
                                     "disable-helm-controller",
                                     "disable-network-policy",
                                     "egress-selector-mode",
                                     "embedded-registry",
                                     "flannel-backend",
                                     "flannel-external-ip",
                                     "flannel-ipv6-masq",
                                     "secrets-encryption",
                                     "secrets-encryption-provider",
                                     "service-cidr"};

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
  for (const char* key : kCritical) {
    auto it = k3s.config().find(key);
    if (it != k3s.config().end()) flags[key] = Text(it->second);
  }
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
