#include <re2/re2.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "machineconfig/format/k3s_version.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/validate/rules.h"
#include "machineconfig/yaml/flow.h"

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

// Of "disable": K3s takes a list, or one text with commas.
std::vector<std::string> Elements(const v1::ConfigValue& value) {
  std::vector<std::string> out;
  auto add = [&](absl::string_view text) {
    for (absl::string_view part : absl::StrSplit(text, ',')) {
      out.emplace_back(absl::StripAsciiWhitespace(part));
    }
  };
  if (value.has_text()) add(value.text());
  for (const std::string& element : value.list().values()) add(element);
  return out;
}

void WrongType(const K3sKey& key, const v1::ConfigValue& value, const std::string& path,
               Report& report) {
  const std::string text = value.text();
  std::string hint;
  if (key.type == K3sKeyType::kBool && value.has_text()) {
    hint = text == "true" || text == "false" ? "remove the quotes"
                                             : "write true or false, in lower case and unquoted";
  } else if (key.type == K3sKeyType::kInt && value.has_text()) {
    int64_t number = 0;
    hint = absl::SimpleAtoi(text, &number) ? "remove the quotes" : "";
  } else if (value.has_boolean()) {
    hint = absl::StrCat("quote it: \"", value.boolean() ? "true" : "false", "\"");
  } else if (value.has_list()) {
    hint = "write one value, not a list";
  }
  report.Error(path, "wrong-type", absl::StrCat("expected ", TypeWord(key.type)), hint);
}

void Unknown(const std::string& name, const std::string& path, Report& report) {
  if (absl::EndsWith(name, "+")) {
    return report.Error(path, "unknown-k3s-key",
                        "`+` merges several files of K3s; noded writes one",
                        absl::StrCat("write `", name.substr(0, name.size() - 1), "`"));
  }
  std::string near = schema::NearestK3sKey(name);
  for (const K3sKey& key : schema::K3sKeys()) {  // apiserver-arg for kube-apiserver-arg
    if (near.empty() && name.size() > 4 && absl::EndsWith(key.name, absl::StrCat("-", name))) {
      near = std::string(key.name);
    }
  }
  const K3sKey* typed = near.empty() ? nullptr : schema::FindK3sKey(near);
  std::string hint = "keys are the names of K3s's flags without the dashes";
  if (typed != nullptr) {
    hint = typed->owner == K3sKeyOwner::kTyped
               ? absl::StrCat("did you mean `", near, "`? The field for it is `", typed->note, "`")
               : absl::StrCat("did you mean `", near, "`?");
  }
  report.Error(path, "unknown-k3s-key", "K3s has no such key", hint);
}

// "max-pods=50 v=3" is one argument to K3s, and the kubelet then refuses to start.
void CheckArguments(const K3sKey& key, const v1::ConfigValue& value, const std::string& path,
                    Report& report) {
  if (!absl::EndsWith(key.name, "-arg")) return;
  static const RE2* const kTwo = new RE2("^(--)?[a-z0-9-]+=[^ ]* +(--)?[a-z][a-z0-9-]*=.*");
  auto check = [&](const std::string& text, const std::string& at) {
    if (!RE2::FullMatch(text, *kTwo)) return;
    report.Error(at, "two-arguments", "these look like two arguments in one text",
                 "write a list: [NAME=VALUE, NAME=VALUE]");
  };
  if (value.has_text()) check(value.text(), path);
  for (int i = 0; i < value.list().values_size(); ++i) {
    check(value.list().values(i), schema::Element(path, i));
  }
}

// K3s says nothing to a component that it does not have: the misspelt one goes on running. Names of
// the owner's own manifests may stand there too, so it is a warning.
void CheckDisabled(const v1::ConfigValue& value, const v1::K3s& k3s, const std::string& path,
                   Report& report) {
  const std::vector<absl::string_view> known = {"coredns",        "servicelb",   "traefik",
                                                "local-storage",  "runtimes",    "ccm",
                                                "metrics-server", "rolebindings"};
  for (const std::string& name : Elements(value)) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    if (std::any_of(k3s.manifests().begin(), k3s.manifests().end(),
                    [&](const auto& manifest) { return manifest.name() == name; })) {
      continue;
    }
    const std::string near = schema::Nearest(name, known);
    report.Warning(path, "unknown-component",
                   absl::StrCat("K3s has no component ", yaml::QuotedText(name.substr(0, 64))),
                   near.empty() ? absl::StrCat("it has ", absl::StrJoin(known, ", "))
                                : absl::StrCat("did you mean `", near, "`?"));
  }
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
    if (key->secret && value.text() == yaml::kRedacted) {
      report.Error(path, "redacted-secret", "is what redacted output shows in place of the secret",
                   "write the secret itself");
    }
    if (!Fits(key->type, value)) {
      WrongType(*key, value, path, report);
      continue;
    }
    CheckArguments(*key, value, path, report);
    if (name == "disable") CheckDisabled(value, k3s, path, report);
  }
}

}  // namespace basalt::validate
