#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/format/k3s_version.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/validate/rules.h"

namespace basalt::validate {
namespace {

using schema::K3sKey;
using schema::K3sKeyOwner;
using schema::K3sKeyRole;
using schema::K3sKeyType;

constexpr int kNewestMinor = 36;
constexpr int kOldestMinor = 21;

bool Fits(K3sKeyType type, const v1::ConfigValue& value) {
  switch (type) {
    case K3sKeyType::kBool:
      return value.has_boolean();
    case K3sKeyType::kInt:
      return value.has_integer();
    case K3sKeyType::kString:
      return value.has_text() || value.has_integer();
    case K3sKeyType::kList:  // K3s takes one value for a list of one
      return value.has_list() || value.has_text() || value.has_integer();
  }
  return false;
}

absl::string_view TypeWord(K3sKeyType type) {
  switch (type) {
    case K3sKeyType::kBool:
      return "true or false";
    case K3sKeyType::kInt:
      return "a whole number";
    case K3sKeyType::kString:
      return "text";
    case K3sKeyType::kList:
      return "a list of texts";
  }
  return "";
}

void Unknown(const std::string& name, const std::string& path, Report& report) {
  if (absl::EndsWith(name, "+")) {
    return report.Error(path, "unknown-k3s-key",
                        "`+` merges several files of K3s; noded writes one",
                        absl::StrCat("write `", name.substr(0, name.size() - 1), "`"));
  }
  const std::string near = schema::NearestK3sKey(name);
  const K3sKey* typed = near.empty() ? nullptr : schema::FindK3sKey(near);
  std::string hint = "keys are the names of K3s's flags without the dashes";
  if (typed != nullptr) {
    hint = typed->owner == K3sKeyOwner::kTyped
               ? absl::StrCat("did you mean `", near, "`? The field for it is `", typed->note, "`")
               : absl::StrCat("did you mean `", near, "`?");
  }
  report.Error(path, "unknown-k3s-key", "K3s has no such key", hint);
}

}  // namespace

void CheckK3sConfig(const v1::K3s& k3s, Report& report) {
  const auto version = format::ParseK3sVersion(k3s.version());
  if (version.ok()) {
    const auto at = absl::StrCat("v", version->major, ".", version->minor);
    if (version->major != 1 || version->minor < kOldestMinor) {
      report.Error("k3s.version", "out-of-range",
                   absl::StrCat("K3s ", at, " is too old; v1.", kOldestMinor, " or newer"));
    } else if (version->minor > kNewestMinor) {
      report.Warning("k3s.version", "newer-than-known",
                     absl::StrCat("K3s ", at, " is newer than the catalogue of its keys (v1.",
                                  kNewestMinor, "): k3s.config cannot be checked fully"));
    }
  }
  for (const auto& [name, value] : k3s.config()) {
    const std::string path = schema::Element("k3s.config", name);
    const K3sKey* key = schema::FindK3sKey(name);
    if (key == nullptr) {
      Unknown(name, path, report);
      continue;
    }
    if (key->owner == K3sKeyOwner::kTyped) {
      report.Error(path, "owned-k3s-key", "noded sets this key from a field of its own",
                   absl::StrCat("use `", key->note, "`"));
      continue;
    }
    if (key->owner == K3sKeyOwner::kRefused) {
      report.Error(path, "refused-k3s-key", absl::StrCat("the key is not allowed: ", key->note));
      continue;
    }
    if (key->role == K3sKeyRole::kServer && k3s.role() == v1::K3S_ROLE_AGENT) {
      report.Error(path, "wrong-role", "the key is for servers only; this node is an agent");
    }
    if (version.ok() && version->major == 1 && version->minor < key->since) {
      report.Error(
          path, "wrong-k3s-version",
          absl::StrCat("K3s knows the key from v1.", key->since, " on; this is ", k3s.version()));
    }
    if (version.ok() && key->until != 0 && version->minor > key->until) {
      report.Error(
          path, "wrong-k3s-version",
          absl::StrCat("K3s dropped the key after v1.", key->until, "; this is ", k3s.version()));
    }
    if (!Fits(key->type, value)) {
      report.Error(path, "wrong-type", absl::StrCat("expected ", TypeWord(key->type)));
    }
  }
}

}  // namespace basalt::validate
