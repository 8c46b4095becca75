// The paths of grants. A path that no change can ever have grants nothing, and whoever
// wrote it finds out when somebody is locked out: so a typo is an error here.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/validate/rules.h"

namespace basalt::validate {
namespace {

using schema::FieldInfo;
using schema::FieldKind;
using schema::MessageInfo;

// One step of a path: ".name" or "[key]".
struct Step {
  std::string text;
  bool bracket = false;
};

// Empty when the text is no path.
std::vector<Step> Steps(absl::string_view path) {
  std::vector<Step> out;
  size_t i = 0;
  while (i < path.size()) {
    Step step{.bracket = path[i] == '['};
    if (step.bracket) {
      if (out.empty()) return {};
      for (++i; i < path.size() && path[i] != ']'; ++i) {
        if (path[i] == '\\' && i + 1 < path.size()) ++i;
        step.text += path[i];
      }
      if (i == path.size()) return {};
      ++i;
    } else {
      if (!out.empty() && path[i++] != '.') return {};
      while (i < path.size() && path[i] != '.' && path[i] != '[') step.text += path[i++];
    }
    if (step.text.empty()) return {};
    out.push_back(std::move(step));
  }
  return out;
}

std::vector<absl::string_view> NamesOf(const MessageInfo& info) {
  std::vector<absl::string_view> out;
  for (const FieldInfo& field : info.fields) out.push_back(field.name);
  return out;
}

std::string DidYouMean(absl::string_view path) {
  return path.empty() ? "" : absl::StrCat("did you mean `", path, "`?");
}

struct Wrong {
  std::string what;  // empty: nothing is
  std::string hint;
};

Wrong CheckK3sKey(const std::string& before, const std::string& key) {
  const schema::K3sKey* known = schema::FindK3sKey(key);
  if (known == nullptr) {
    const std::string near = schema::NearestK3sKey(key);
    return {absl::StrCat("K3s has no key `", key, "`"),
            near.empty() ? "nodectl explain k3s.config lists them"
                         : DidYouMean(schema::Element(before, near))};
  }
  if (known->owner == schema::K3sKeyOwner::kTyped) {
    return {absl::StrCat("`", key, "` has a field of its own"), DidYouMean(known->note)};
  }
  if (known->owner == schema::K3sKeyOwner::kRefused) {
    return {absl::StrCat("`", key, "` stands in no config: ", known->note), ""};
  }
  return {};
}

// What stands behind `at`, which is a map or a list: the key of an element.
Wrong CheckElement(const FieldInfo& field, const std::string& at, const Step& step) {
  if (field.kind != FieldKind::kMap && field.key == nullptr) {
    return {absl::StrCat("`", at, "` has no elements with names, and positions shift"),
            absl::StrCat("grant `", at, "` as a whole")};
  }
  if (!step.bracket) {
    const std::string key = field.kind == FieldKind::kMap ? step.text : "NAME";
    return {absl::StrCat("the elements of `", at, "` stand in brackets"),
            field.kind == FieldKind::kMap
                ? DidYouMean(schema::Element(at, key))
                : absl::StrCat("`", at, "` for all of them, or `", schema::Element(at, key), ".",
                               step.text, "` for one")};
  }
  if (field.value_kind == FieldKind::kConfigValue) return CheckK3sKey(at, step.text);
  return {};
}

Wrong CheckPath(const std::string& path) {
  const std::vector<Step> steps = Steps(path);
  if (steps.empty()) {
    return {"not a path of fields", "for example k3s.config, or api.clientCas[owner].roles"};
  }
  const MessageInfo* info = &schema::Describe(v1::MachineConfig::descriptor());
  std::string at;
  for (size_t i = 0; i < steps.size();) {
    if (steps[i].bracket) {
      return {absl::StrCat("`", at, "` has no elements"), absl::StrCat("grant `", at, "`")};
    }
    if (info == nullptr) {
      return {absl::StrCat("`", at, "` has no fields"), DidYouMean(at)};
    }
    const FieldInfo* field = info->Find(steps[i].text);
    if (field == nullptr) {
      std::string near = schema::Nearest(steps[i].text, NamesOf(*info));
      if (!near.empty()) {
        near = schema::Child(at, near);
      } else {
        near = schema::UniquePathOf(schema::Describe(v1::MachineConfig::descriptor()),
                                    steps.back().text);
      }
      return {
          absl::StrCat("a machine config has no field `", schema::Child(at, steps[i].text), "`"),
          near.empty() ? absl::StrCat("nodectl explain ", at, at.empty() ? "" : " ", "lists them")
                       : DidYouMean(near)};
    }
    at = schema::Child(at, field->name);
    info = field->kind == FieldKind::kMessage ? field->message : nullptr;
    ++i;
    if (!field->repeated && field->kind != FieldKind::kMap) continue;
    if (i == steps.size()) return {};
    Wrong wrong = CheckElement(*field, at, steps[i]);
    if (!wrong.what.empty()) return wrong;
    at = schema::Element(at, steps[i].text);
    ++i;
  }
  return {};
}

}  // namespace

void CheckGrantPaths(const v1::Grant& grant, const std::string& path, Report& report) {
  for (int i = 0; i < grant.paths_size(); ++i) {
    const Wrong wrong = CheckPath(grant.paths(i));
    if (wrong.what.empty()) continue;
    report.Error(schema::Element(schema::Child(path, "paths"), i), "unknown-path", wrong.what,
                 wrong.hint);
  }
}

}  // namespace basalt::validate
