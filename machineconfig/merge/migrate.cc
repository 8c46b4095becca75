#include "machineconfig/merge/migrate.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "machineconfig/merge/set_path.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/yaml/emit.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::merge {
namespace {

using google::protobuf::Message;
using schema::FieldInfo;
using schema::FieldKind;

// The first release, basalt/v1, has moved no field yet.
constexpr K3sKeyMove kK3sKeys[] = {
    {.key = "flannel-backend",
     .value = "ipsec",
     .until = 26,
     .to = "flannel-backend",
     .new_value = "wireguard-native"},
    {.key = "flannel-backend",
     .value = "wireguard",
     .until = 25,
     .to = "flannel-backend",
     .new_value = "wireguard-native"},
    {.key = "no-deploy", .until = 24, .to = "disable"},
};

std::string ValueText(const v1::ConfigValue& value) {
  switch (value.value_case()) {
    case v1::ConfigValue::kBoolean:
      return value.boolean() ? "true" : "false";
    case v1::ConfigValue::kInteger:
      return absl::StrCat(value.integer());
    case v1::ConfigValue::kText:
      return yaml::ScalarText(value.text());
    case v1::ConfigValue::kList:
      return absl::StrCat("[",
                          absl::StrJoin(value.list().values(), ", ",
                                        [](std::string* out, const std::string& one) {
                                          absl::StrAppend(out, yaml::ScalarText(one));
                                        }),
                          "]");
    case v1::ConfigValue::VALUE_NOT_SET:
      break;
  }
  return "";
}

// The field at a path without lists on the way; `text` becomes its value in flow style.
bool Find(const Message& message, absl::string_view path, std::string& text) {
  const Message* at = &message;
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (size_t i = 0; i < names.size(); ++i) {
    const FieldInfo* field = schema::Describe(at->GetDescriptor()).Find(names[i]);
    if (field == nullptr || !yaml::IsPresent(*at, *field)) return false;
    if (i + 1 == names.size()) {
      text = yaml::FlowText(*at, *field, -1, {.redact = false});
      return true;
    }
    if (field->repeated || field->kind != FieldKind::kMessage) return false;
    at = &at->GetReflection()->GetMessage(*at, field->field);
  }
  return false;
}

class Migration {
 public:
  Migration(v1::MachineConfig& config, const MigrationTables& tables)
      : config_(config), tables_(tables) {}

  void Fields() {
    for (const FieldMove& move : tables_.fields) {
      std::string text, there;
      if (!Find(config_, move.from, text)) continue;
      const bool taken = Find(config_, move.to, there);
      if (taken && there != text) {
        steps_.push_back({std::string(move.from), std::string(move.to),
                          "both are there and say different things"});
        continue;
      }
      if (!SetPath(absl::StrCat(move.to, "=", text), config_).ok() ||
          !SetPath(absl::StrCat(move.from, "="), config_).ok()) {
        continue;
      }
      steps_.push_back(
          {std::string(move.from), std::string(move.to), "the field has another name now", true});
    }
    Deprecated(config_, "");
  }

  void K3sKeys(int minor) {
    // A copy of the names: the map changes under our hands.
    std::vector<std::string> names;
    for (const auto& [name, value] : config_.k3s().config()) names.push_back(name);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) Key(name, minor);
  }

  std::vector<MigrationStep> Take() { return std::move(steps_); }

 private:
  // What the annotations call deprecated and no table moves.
  void Deprecated(const Message& message, const std::string& path) {
    const auto& r = *message.GetReflection();
    for (const FieldInfo& field : schema::Describe(message.GetDescriptor()).fields) {
      if (!yaml::IsPresent(message, field)) continue;
      const std::string here = schema::Child(path, field.name);
      if (!field.rules.deprecated().empty()) {
        bool told = false;
        for (const MigrationStep& step : steps_) told = told || step.path == here;
        if (!told)
          steps_.push_back({here, "", absl::StrCat("deprecated: ", field.rules.deprecated())});
        continue;
      }
      if (field.kind != FieldKind::kMessage) continue;
      if (!field.repeated) {
        Deprecated(r.GetMessage(message, field.field), here);
        continue;
      }
      for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
        Deprecated(r.GetRepeatedMessage(message, field.field, i),
                   schema::ElementPath(here, message, field, i));
      }
    }
  }

  static std::string Release(int minor) { return absl::StrCat("K3s v1.", minor); }

  void Key(const std::string& name, int minor) {
    auto& all = *config_.mutable_k3s()->mutable_config();
    const v1::ConfigValue value = all.at(name);
    const std::string path = schema::Element("k3s.config", name);
    for (const K3sKeyMove& move : tables_.k3s_keys) {
      const bool meant = move.key == name && (move.value.empty() || value.text() == move.value);
      if (!meant || minor <= move.until) continue;
      return MoveKey(move, value, path);
    }
    const schema::K3sKey* known = schema::FindK3sKey(name);
    if (known == nullptr) return;
    if (known->owner == schema::K3sKeyOwner::kTyped) return MoveToField(*known, value, path);
    if (known->owner == schema::K3sKeyOwner::kRefused) {
      steps_.push_back({path, "", absl::StrCat("not allowed: ", known->note)});
      return;
    }
    if (known->until > 0 && minor > known->until) {
      steps_.push_back({path, "",
                        absl::StrCat(Release(minor), " no longer knows it, since v1.",
                                     known->until + 1, "; nothing took its place")});
    }
  }

  void MoveKey(const K3sKeyMove& move, const v1::ConfigValue& value, const std::string& path) {
    auto& all = *config_.mutable_k3s()->mutable_config();
    const std::string to = schema::Element("k3s.config", move.to);
    v1::ConfigValue moved = value;
    if (!move.new_value.empty()) moved.set_text(std::string(move.new_value));
    auto there = all.find(std::string(move.to));
    if (move.to != move.key && there != all.end()) {
      // Lists of the two together, as K3s read them both.
      moved = there->second;
      if (!moved.has_list()) {
        const std::string word = moved.text();
        moved.mutable_list()->add_values(word);
      }
      std::vector<std::string> more(value.list().values().begin(), value.list().values().end());
      if (value.has_text()) more.push_back(value.text());
      for (const std::string& one : more) {
        const auto& now = moved.list().values();
        if (std::find(now.begin(), now.end(), one) == now.end()) {
          moved.mutable_list()->add_values(one);
        }
      }
    }
    if (move.to != move.key) all.erase(std::string(move.key));
    all[std::string(move.to)] = moved;
    steps_.push_back(
        {path, to,
         absl::StrCat(
             "K3s knows it until v1.", move.until,
             move.new_value.empty() ? "" : absl::StrCat("; `", move.new_value, "` took its place")),
         true});
  }

  void MoveToField(const schema::K3sKey& key, const v1::ConfigValue& value,
                   const std::string& path) {
    const std::string to(key.note);
    std::string there;
    const std::string text = ValueText(value);
    const bool taken = Find(config_, to, there);
    v1::MachineConfig copy = config_;
    if ((taken && there != text) || !SetPath(absl::StrCat(to, "=", text), copy).ok()) {
      steps_.push_back({path, to,
                        taken ? "the field says something else"
                              : "the field for it has another form: see nodectl explain"});
      return;
    }
    config_ = copy;
    config_.mutable_k3s()->mutable_config()->erase(std::string(key.name));
    steps_.push_back({path, to, "noded sets this key from a field of its own", true});
  }

  v1::MachineConfig& config_;
  const MigrationTables& tables_;
  std::vector<MigrationStep> steps_;
};

}  // namespace

const MigrationTables& Migrations() {
  static const MigrationTables tables{.fields = {}, .k3s_keys = kK3sKeys};
  return tables;
}

std::vector<MigrationStep> Migrate(v1::MachineConfig& config, int k3s_minor,
                                   const MigrationTables& tables) {
  Migration migration(config, tables);
  migration.Fields();
  if (k3s_minor > 0) migration.K3sKeys(k3s_minor);
  return migration.Take();
}

}  // namespace basalt::merge
