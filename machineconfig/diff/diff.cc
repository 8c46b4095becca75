#include "machineconfig/diff/diff.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "absl/strings/match.h"
#include "machineconfig/diff/k3s_fixed.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::diff {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;
using schema::FieldInfo;
using schema::FieldKind;
using schema::MessageInfo;

class Walk {
 public:
  Walk(const Options& options, std::vector<Change>& out) : options_(options), out_(out) {}

  // Either side may be null: absent equals empty.
  void Messages(const Message* a, const Message* b, const MessageInfo& info,
                const std::string& path, v1::Effect inherited) {
    for (const FieldInfo& field : info.fields) {
      const v1::Effect effect =
          field.rules.effect() == v1::EFFECT_UNSPECIFIED ? inherited : field.rules.effect();
      const std::string here = schema::Child(path, field.name);
      if (field.kind == FieldKind::kMap) {
        Maps(a, b, field, here, effect);
      } else if (field.repeated) {
        Lists(a, b, field, here, effect);
      } else if (field.kind == FieldKind::kMessage) {
        Messages(Sub(a, field), Sub(b, field), *field.message, here, effect);
      } else if (field.kind == FieldKind::kSecret) {
        Secrets(Sub(a, field), Sub(b, field), here, effect);
      } else {
        Leaf(Text(a, field), Text(b, field), here, effect, field.rules.secret());
      }
    }
  }

 private:
  static const Message* Sub(const Message* m, const FieldInfo& field) {
    if (m == nullptr || !m->GetReflection()->HasField(*m, field.field)) return nullptr;
    return &m->GetReflection()->GetMessage(*m, field.field);
  }
  static std::string Text(const Message* m, const FieldInfo& field) {
    return m == nullptr ? "" : yaml::FlowText(*m, field);
  }
  static int Size(const Message* m, const FieldInfo& field) {
    return m == nullptr ? 0 : m->GetReflection()->FieldSize(*m, field.field);
  }

  void Add(std::string path, ChangeKind kind, std::string old_value, std::string new_value,
           v1::Effect effect) {
    out_.push_back({.path = std::move(path),
                    .kind = kind,
                    .old_value = std::move(old_value),
                    .new_value = std::move(new_value),
                    .effect = effect});
  }

  // Flow texts are equal exactly when the values are; "" is absent.
  void Leaf(const std::string& a, const std::string& b, const std::string& path, v1::Effect effect,
            bool secret = false) {
    if (a == b) return;
    auto shown = [&](const std::string& value) {
      return secret && !value.empty() ? std::string(yaml::kRedacted) : value;
    };
    if (secret && !options_.compare_secrets && !a.empty() && !b.empty()) {
      return Add(path, ChangeKind::kNotCompared, shown(a), shown(b), effect);
    }
    Add(path,
        a.empty()   ? ChangeKind::kAdd
        : b.empty() ? ChangeKind::kRemove
                    : ChangeKind::kModify,
        shown(a), shown(b), effect);
  }

  void Secrets(const Message* a, const Message* b, const std::string& path, v1::Effect effect) {
    auto present = [](const Message* m) {
      return m != nullptr &&
             static_cast<const v1::Secret*>(m)->value_case() != v1::Secret::VALUE_NOT_SET;
    };
    const std::string hidden(yaml::kRedacted);
    const bool in_a = present(a);
    const bool in_b = present(b);
    if (in_a && in_b) {
      const bool same = a->SerializeAsString() == b->SerializeAsString();
      // age seals the same value to another text each time: a difference of texts says nothing.
      const bool sealed = static_cast<const v1::Secret*>(a)->has_sealed() ||
                          static_cast<const v1::Secret*>(b)->has_sealed();
      if (!options_.compare_secrets || (sealed && !same)) {
        Add(path, ChangeKind::kNotCompared, hidden, hidden, effect);
      } else if (!same) {
        Add(path, ChangeKind::kModify, hidden, hidden, effect);
      }
    } else if (in_a) {
      Add(path, ChangeKind::kRemove, hidden, "", effect);
    } else if (in_b) {
      Add(path, ChangeKind::kAdd, "", hidden, effect);
    }
  }

  static std::map<std::string, std::string> Entries(const Message* m, const FieldInfo& field) {
    std::map<std::string, std::string> out;
    if (m == nullptr) return out;
    const auto* type = field.field->message_type();
    const FieldInfo value{.field = type->map_value(), .kind = field.value_kind};
    for (int i = 0; i < Size(m, field); ++i) {
      const Message& entry = m->GetReflection()->GetRepeatedMessage(*m, field.field, i);
      // Map entries always hold their value, also when it is the default.
      const std::string key = entry.GetReflection()->GetString(entry, type->map_key());
      out[key] = field.value_kind == FieldKind::kString
                     ? yaml::ScalarText(entry.GetReflection()->GetString(entry, value.field))
                     : yaml::FlowText(entry, value);
    }
    return out;
  }

  void Maps(const Message* a, const Message* b, const FieldInfo& field, const std::string& path,
            v1::Effect effect) {
    const auto old_entries = Entries(a, field);
    const auto new_entries = Entries(b, field);
    std::set<std::string> keys;
    for (const auto& [key, value] : old_entries) keys.insert(key);
    for (const auto& [key, value] : new_entries) keys.insert(key);
    auto find = [](const auto& entries, const std::string& key) {
      auto it = entries.find(key);
      return it == entries.end() ? std::string() : it->second;
    };
    for (const std::string& key : keys) {
      const schema::K3sKey* known =
          field.value_kind == FieldKind::kConfigValue ? schema::FindK3sKey(key) : nullptr;
      const bool fixed = known != nullptr && a != nullptr && b != nullptr &&
                         ChangesFixedValue(static_cast<const v1::K3s&>(*a),
                                           static_cast<const v1::K3s&>(*b), *known);
      Leaf(find(old_entries, key), find(new_entries, key), schema::Element(path, key),
           fixed ? v1::EFFECT_REINSTALL : effect,
           field.rules.secret() || (known != nullptr && known->secret));
    }
  }

  void Lists(const Message* a, const Message* b, const FieldInfo& field, const std::string& path,
             v1::Effect effect) {
    if (field.key != nullptr) return ListMaps(a, b, field, path, effect);
    if (field.rules.list() == v1::LIST_SET) return ListSets(a, b, field, path, effect);
    auto text = [&](const Message* m) {
      return Size(m, field) == 0 ? std::string() : yaml::FlowText(*m, field);
    };
    Leaf(text(a), text(b), path, effect, field.rules.secret());
  }

  void ListSets(const Message* a, const Message* b, const FieldInfo& field, const std::string& path,
                v1::Effect effect) {
    std::map<std::string, std::pair<int, int>> seen;  // text → index in a, in b; -1: not there
    for (int i = Size(a, field) - 1; i >= 0; --i) {
      seen[yaml::FlowText(*a, field, i)] = {i, -1};
    }
    for (int i = Size(b, field) - 1; i >= 0; --i) {
      seen.try_emplace(yaml::FlowText(*b, field, i), -1, -1).first->second.second = i;
    }
    for (const auto& [text, at] : seen) {
      if (at.second < 0) {
        Leaf(text, "", schema::Element(path, at.first), effect, field.rules.secret());
      } else if (at.first < 0) {
        Leaf("", text, schema::Element(path, at.second), effect, field.rules.secret());
      }
    }
  }

  static std::map<std::string, const Message*> ByKey(const Message* m, const FieldInfo& field) {
    std::map<std::string, const Message*> out;
    for (int i = 0; i < Size(m, field); ++i) {
      const Message& element = m->GetReflection()->GetRepeatedMessage(*m, field.field, i);
      out.emplace(element.GetReflection()->GetString(element, field.key->field), &element);
    }
    return out;
  }

  void ListMaps(const Message* a, const Message* b, const FieldInfo& field, const std::string& path,
                v1::Effect effect) {
    const auto old_elements = ByKey(a, field);
    const auto new_elements = ByKey(b, field);
    std::set<std::string> keys;
    for (const auto& [key, element] : old_elements) keys.insert(key);
    for (const auto& [key, element] : new_elements) keys.insert(key);
    auto find = [](const auto& elements, const std::string& key) -> const Message* {
      auto it = elements.find(key);
      return it == elements.end() ? nullptr : it->second;
    };
    for (const std::string& key : keys) {
      Messages(find(old_elements, key), find(new_elements, key), *field.message,
               schema::Element(path, key), effect);
    }
  }

  const Options& options_;
  std::vector<Change>& out_;
};

}  // namespace

std::vector<Change> Diff(const v1::MachineConfig* from, const v1::MachineConfig& to,
                         const Options& options) {
  std::vector<Change> out;
  Walk(options, out)
      .Messages(from, &to, schema::Describe(v1::MachineConfig::descriptor()), "", v1::EFFECT_LIVE);
  if (from == nullptr) {
    // There is nothing yet that would have to be installed anew.
    for (Change& change : out) {
      if (change.effect == v1::EFFECT_REINSTALL) change.effect = v1::EFFECT_LIVE;
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const Change& a, const Change& b) {
    return std::make_tuple(absl::string_view(a.path), a.kind != ChangeKind::kRemove) <
           std::make_tuple(absl::string_view(b.path), b.kind != ChangeKind::kRemove);
  });
  return out;
}

v1::Effect TotalEffect(const std::vector<Change>& changes) {
  v1::Effect total = v1::EFFECT_NONE;
  for (const Change& change : changes) {
    // What was not compared is probably equal: it may not announce a restart that will not come.
    if (change.kind != ChangeKind::kNotCompared) total = std::max(total, change.effect);
  }
  return total;
}

bool SameMeaning(const std::vector<Change>& changes) {
  return std::all_of(changes.begin(), changes.end(), [](const Change& change) {
    return change.kind != ChangeKind::kNotCompared && change.effect == v1::EFFECT_NONE &&
           IsFreePath(change.path);
  });
}

bool IsFreePath(const std::string& path) {
  for (absl::string_view name :
       {"generation", "signedAt", "notBefore", "notAfter", "apply", "base", "reason"}) {
    const std::string free = schema::Child("metadata", name);
    if (path == free || absl::StartsWith(path, free + ".")) return true;
  }
  return false;
}

}  // namespace basalt::diff
