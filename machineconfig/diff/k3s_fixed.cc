#include "machineconfig/diff/k3s_fixed.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "machineconfig/format/net.h"

namespace basalt::diff {
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

// "10.43.0.0/16" → "10.43.0.10".
std::string TenthAddress(absl::string_view cidr) {
  absl::StatusOr<format::Cidr> network = format::ParseCidr(cidr);
  if (!network.ok()) return "";
  std::string& bytes = network->network.bytes;
  int carry = 10;
  for (size_t i = bytes.size(); i-- > 0 && carry > 0;) {
    carry += static_cast<unsigned char>(bytes[i]);
    bytes[i] = static_cast<char>(carry & 0xff);
    carry >>= 8;
  }
  return network->network.ToString();
}

}  // namespace

std::string ValueInForce(const v1::K3s& k3s, const schema::K3sKey& key) {
  const auto it = k3s.config().find(std::string(key.name));
  if (it == k3s.config().end()) {
    if (key.name != "cluster-dns") return std::string(key.default_value);
    const schema::K3sKey* services = schema::FindK3sKey("service-cidr");
    std::vector<std::string> addresses;
    for (absl::string_view cidr : absl::StrSplit(ValueInForce(k3s, *services), ',')) {
      addresses.push_back(TenthAddress(cidr));
    }
    return absl::StrJoin(addresses, ",");
  }
  std::vector<std::string> parts;
  for (absl::string_view part : absl::StrSplit(Text(it->second), ',')) {
    parts.emplace_back(absl::StripAsciiWhitespace(part));
  }
  return absl::StrJoin(parts, ",");
}

bool ChangesFixedValue(const v1::K3s& from, const v1::K3s& to, const schema::K3sKey& key) {
  if (!key.fixed) return false;
  const std::string before = ValueInForce(from, key);
  const std::string after = ValueInForce(to, key);
  if (before == after) return false;
  // An encryption provider has no meaning where nothing is encrypted.
  if (key.name != "secrets-encryption-provider") return true;
  const schema::K3sKey* encryption = schema::FindK3sKey("secrets-encryption");
  return ValueInForce(from, *encryption) == "true" && ValueInForce(to, *encryption) == "true";
}

}  // namespace basalt::diff
