#include "machineconfig/schema/k3s_keys.h"

#include <algorithm>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_key_groups.h"

namespace basalt::schema {
namespace {

bool ByName(const K3sKey& a, const K3sKey& b) { return a.name < b.name; }

const std::vector<K3sKey>& Sorted() {
  static const auto* const keys = [] {
    auto* all = new std::vector<K3sKey>;
    for (const auto& group :
         {K3sClusterKeys(), K3sNetworkKeys(), K3sComponentKeys(), K3sNodeKeys()}) {
      all->insert(all->end(), group.begin(), group.end());
    }
    std::sort(all->begin(), all->end(), ByName);
    return all;
  }();
  return *keys;
}

// The patch with which the line of `minor` learnt the key; 0: from its start.
int FirstPatch(const K3sKey& key, int minor) {
  for (absl::string_view port : absl::StrSplit(key.ports, ' ', absl::SkipEmpty())) {
    const std::vector<absl::string_view> parts = absl::StrSplit(port, '.');
    int line = 0;
    int patch = 0;
    if (parts.size() == 2 && absl::SimpleAtoi(parts[0], &line) &&
        absl::SimpleAtoi(parts[1], &patch) && line == minor) {
      return patch;
    }
  }
  return 0;
}

int Since(const K3sKey& key, bool agent) {
  return agent && key.agent_since != 0 ? key.agent_since : key.since;
}

}  // namespace

absl::Span<const K3sKey> K3sKeys() { return Sorted(); }

const K3sKey* FindK3sKey(absl::string_view name) {
  const std::vector<K3sKey>& keys = Sorted();
  const auto it = std::lower_bound(keys.begin(), keys.end(), K3sKey{.name = name}, ByName);
  return it != keys.end() && it->name == name ? &*it : nullptr;
}

std::string NearestK3sKey(absl::string_view name) {
  std::vector<absl::string_view> names;
  for (const K3sKey& key : Sorted()) {
    if (key.owner != K3sKeyOwner::kRefused) names.push_back(key.name);
  }
  return Nearest(name, names);
}

K3sSupport SupportOf(const K3sKey& key, int minor, int patch, bool agent) {
  if (minor < Since(key, agent) || patch < FirstPatch(key, minor)) return K3sSupport::kTooOld;
  return key.until != 0 && minor > key.until ? K3sSupport::kGone : K3sSupport::kKnown;
}

std::string FirstRelease(const K3sKey& key, int minor, bool agent) {
  const int since = Since(key, agent);
  const int line = minor >= since && FirstPatch(key, minor) > 0 ? minor : since;
  const int patch = FirstPatch(key, line);
  return patch > 0 ? absl::StrCat("v1.", line, ".", patch) : absl::StrCat("v1.", line);
}

}  // namespace basalt::schema
