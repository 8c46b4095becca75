// k3s.config and k3s.version against the catalogue: which keys, on which role, of which release.
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/validate/k3s_rules.h"

namespace basalt::validate {
namespace {

using schema::K3sKey;
using schema::K3sKeyOwner;
using schema::K3sKeyRole;
using schema::K3sKeyType;

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
  // K3s reads one-letter keys as its short flags.
  constexpr std::pair<absl::string_view, absl::string_view> kShort[] = {
      {"t", "token"},   {"s", "server"}, {"d", "data-dir"}, {"o", "write-kubeconfig"},
      {"i", "node-ip"}, {"l", "log"},    {"c", "config"}};
  for (const auto& [letter, whole] : kShort) {
    if (name == letter) {
      return report.Error(path, "unknown-k3s-key", "short flags are no keys here",
                          absl::StrCat("`", letter, "` is `", whole, "`: see `nodectl explain ",
                                       "k3s.config.", whole, "`"));
    }
  }
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

// Not of this release, or not of this role.
void CheckSupport(const K3sKey& key, const K3sFacts& facts, const std::string& path,
                  Report& report) {
  if (key.role == K3sKeyRole::kServer && facts.agent) {
    report.Error(path, "wrong-role", "the key is for servers only; this node is an agent");
    return;
  }
  if (key.role == K3sKeyRole::kAgent && facts.server) {
    report.Error(path, "wrong-role", "the key is for agents only; this node is a server");
    return;
  }
  if (!facts.version) return;
  const int minor = facts.version->minor;
  switch (SupportOf(key, minor, facts.version->patch, facts.agent)) {
    case schema::K3sSupport::kTooOld:
      report.Error(
          path, "wrong-k3s-version",
          absl::StrCat("K3s knows the key ", facts.agent && key.agent_since > 0 ? "on agents " : "",
                       "from ", FirstRelease(key, minor, facts.agent), " on; this is ",
                       facts.k3s.version()));
      break;
    case schema::K3sSupport::kGone:
      report.Error(path, "wrong-k3s-version",
                   absl::StrCat("K3s dropped the key after v1.", key.until, "; this is ",
                                facts.k3s.version()),
                   key.instead.empty() ? "" : absl::StrCat("use `", key.instead, "`"));
      break;
    case schema::K3sSupport::kKnown:
      break;
  }
}

void CheckVersion(const K3sFacts& facts, Report& report) {
  const auto version = format::ParseK3sVersion(facts.k3s.version());
  if (!version.ok()) return;
  const auto at = absl::StrCat("v", version->major, ".", version->minor);
  if (version->major != 1 || version->minor < schema::kOldestK3sMinor) {
    report.Error(
        "k3s.version", "out-of-range",
        absl::StrCat("K3s ", at, " is too old; v1.", schema::kOldestK3sMinor, " or newer"));
  } else if (version->minor > schema::kNewestK3sMinor) {
    report.Warning("k3s.version", "newer-than-known",
                   absl::StrCat("K3s ", at, " is newer than the catalogue of its keys (v1.",
                                schema::kNewestK3sMinor, "): k3s.config cannot be checked fully"));
  }
}

// Does the config write the field at the path? Paths of the catalogue pass through no lists.
bool Writes(const google::protobuf::Message& root, absl::string_view path) {
  const google::protobuf::Message* at = &root;
  for (absl::string_view word : absl::StrSplit(path, '.')) {
    const schema::FieldInfo* field = schema::Describe(at->GetDescriptor()).Find(word);
    if (field == nullptr) return false;
    const auto& reflection = *at->GetReflection();
    if (field->field->is_repeated()) return reflection.FieldSize(*at, field->field) > 0;
    if (!reflection.HasField(*at, field->field)) return false;
    if (field->kind != schema::FieldKind::kMessage) return true;
    at = &reflection.GetMessage(*at, field->field);
  }
  return true;
}

// A field whose key the release does not know would be left out in silence.
void CheckTypedFields(const K3sFacts& facts, Report& report) {
  if (!facts.version || facts.Before(schema::kOldestK3sMinor)) return;
  const int minor = facts.version->minor;
  for (const K3sKey& key : schema::K3sKeys()) {
    if (key.owner != K3sKeyOwner::kTyped || key.until != 0 ||
        SupportOf(key, minor, facts.version->patch, facts.agent) != schema::K3sSupport::kTooOld ||
        !Writes(facts.config, key.note)) {
      continue;
    }
    report.Error(key.note, "wrong-k3s-version",
                 absl::StrCat("K3s has it from ", FirstRelease(key, minor, facts.agent),
                              " on; this is ", facts.k3s.version()),
                 "remove it, or pin a newer release");
  }
}

}  // namespace

void CheckK3sConfig(const K3sFacts& facts, Report& report) {
  CheckVersion(facts, report);
  CheckTypedFields(facts, report);
  for (const auto& [name, value] : facts.k3s.config()) {
    const std::string path = ConfigPath(name);
    const K3sKey* key = schema::FindK3sKey(name);
    if (key == nullptr) {
      Unknown(name, path, report);
    } else if (key->owner == K3sKeyOwner::kTyped) {
      report.Error(path, "owned-k3s-key", "noded sets this key from a field of its own",
                   absl::StrCat("use `", key->note, "`"));
    } else if (key->owner == K3sKeyOwner::kRefused) {
      report.Error(path, "refused-k3s-key", absl::StrCat("the key is not allowed: ", key->note));
    } else {
      CheckSupport(*key, facts, path, report);
      if (!Fits(key->type, value)) WrongType(*key, value, path, report);
    }
  }
}

}  // namespace basalt::validate
