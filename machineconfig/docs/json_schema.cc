#include "machineconfig/docs/json_schema.h"

#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "basalt/v1/options.pb.h"
#include "machineconfig/docs/comments.h"
#include "machineconfig/docs/field_doc.h"
#include "machineconfig/docs/format_pattern.h"
#include "machineconfig/docs/json_value.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "nlohmann/json.hpp"

namespace basalt::docs {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using nlohmann::ordered_json;
using schema::FieldInfo;
using schema::FieldKind;
using schema::K3sKey;
using schema::K3sKeyOwner;
using schema::K3sKeyType;
using schema::MessageInfo;

// A source leaves it out, or writes null for the same.
bool MayBeAbsent(const FieldInfo& field) {
  return !field.rules.required() || field.rules.filled_in();
}

void SetType(ordered_json& schema, absl::string_view type, bool nullable) {
  const std::string word(type);
  schema["type"] = nullable ? ordered_json{word, "null"} : ordered_json(word);
}

// Of a text that may be written as a number.
void SetTextType(ordered_json& schema, const v1::FieldRules& rules, bool nullable) {
  SetType(schema, "string", nullable);
  if (!rules.numbers()) return;
  if (!nullable) schema["type"] = ordered_json::array({"string"});
  schema["type"].push_back("integer");
}

// What a person reads when the pointer rests on the field.
std::string Words(const FieldInfo& field) {
  const v1::FieldRules& rules = field.rules;
  std::vector<std::string> facts;
  if (rules.filled_in()) {
    facts.push_back("nodectl fills it in before it signs.");
  } else if (rules.required()) {
    facts.push_back("Required.");
  }
  if (field.kind == FieldKind::kSecret) {
    facts.push_back("Secret: the text itself, or sealed with `!sealed |`.");
  }
  if (rules.format() != v1::FORMAT_UNSPECIFIED) {
    facts.push_back(absl::StrCat("Format: ", FormatWords(rules.format()), "."));
  } else if (!rules.means().empty()) {
    facts.push_back(absl::StrCat("Format: ", rules.means(), "."));
  }
  for (const Choice& choice : ChoicesOf(field)) {
    if (!choice.means.empty()) {
      facts.push_back(absl::StrCat("`", choice.value, "`: ", choice.means, "."));
    }
  }
  if (const auto* oneof = field.field->real_containing_oneof(); oneof != nullptr) {
    std::vector<std::string> others;
    for (int i = 0; i < oneof->field_count(); ++i) {
      if (oneof->field(i) != field.field) others.push_back(oneof->field(i)->json_name());
    }
    facts.push_back(absl::StrCat("Not beside ", absl::StrJoin(others, ", "), "."));
  }
  if (!rules.default_().empty()) {
    facts.push_back(absl::StrCat("Default: ", rules.default_(), "."));
  }
  if (rules.cluster_scoped()) facts.push_back("Cluster-scoped: the same on all servers.");
  if (rules.effect() != v1::EFFECT_UNSPECIFIED && rules.effect() != v1::EFFECT_NONE) {
    facts.push_back(absl::StrCat("A change: ", EffectName(rules.effect()), "."));
  }
  std::string comment(CommentOf(*field.field));
  if (comment.empty() && field.message != nullptr) {
    comment = std::string(CommentOf(*field.message->descriptor));
  }
  const std::string more = absl::StrJoin(facts, " ");
  return comment.empty() || more.empty() ? comment + more : absl::StrCat(comment, "\n\n", more);
}

void SetPattern(ordered_json& schema, absl::string_view pattern, absl::string_view words) {
  if (pattern.empty()) return;
  schema["pattern"] = std::string(pattern);
  if (!words.empty()) schema["patternErrorMessage"] = absl::StrCat("expected: ", words);
}

class Writer {
 public:
  ordered_json Document(const Descriptor& kind) {
    ordered_json out;
    out["$schema"] = "https://json-schema.org/draft/2020-12/schema";
    out["$comment"] = absl::StrCat(kSchemaMark, " from the descriptors of basalt/v1.");
    const MessageInfo& root = schema::Describe(&kind);
    out.update(Section(root, false));
    // Sections name others while they are written.
    ordered_json defs = ordered_json::object();
    while (!wanted_.empty()) {
      const MessageInfo* next = wanted_.back();
      wanted_.pop_back();
      defs[next->descriptor->name()] = Section(*next, true);
    }
    out["$defs"] = std::move(defs);
    return out;
  }

 private:
  ordered_json Section(const MessageInfo& info, bool nullable) {
    ordered_json out;
    out["title"] = info.descriptor->name();
    const std::string comment(CommentOf(*info.descriptor));
    if (!comment.empty()) out["description"] = comment;
    SetType(out, "object", nullable);
    ordered_json properties = ordered_json::object();
    ordered_json required = ordered_json::array();
    for (const FieldInfo& field : info.fields) {
      if (field.kind == FieldKind::kUnsupported) continue;
      properties[field.name] = Property(field);
      if (!MayBeAbsent(field)) required.push_back(field.name);
    }
    out["properties"] = std::move(properties);
    if (!required.empty()) out["required"] = std::move(required);
    ordered_json excluded = Excluded(*info.descriptor);
    if (!excluded.empty()) out["allOf"] = std::move(excluded);
    out["additionalProperties"] = false;
    return out;
  }

  // No two members of a oneof.
  static ordered_json Excluded(const Descriptor& message) {
    ordered_json out = ordered_json::array();
    for (int i = 0; i < message.real_oneof_decl_count(); ++i) {
      const auto& oneof = *message.oneof_decl(i);
      for (int a = 0; a < oneof.field_count(); ++a) {
        for (int b = a + 1; b < oneof.field_count(); ++b) {
          out.push_back({{"not",
                          {{"required", ordered_json::array({oneof.field(a)->json_name(),
                                                             oneof.field(b)->json_name()})}}}});
        }
      }
    }
    return out;
  }

  ordered_json Property(const FieldInfo& field) {
    const v1::FieldRules& rules = field.rules;
    const bool nullable = MayBeAbsent(field);
    ordered_json out{{"title", field.name}, {"description", Words(field)}};
    if (field.kind == FieldKind::kMap) {
      Map(field, nullable, out);
    } else if (field.repeated) {
      SetType(out, "array", nullable);
      ordered_json element;
      Value(field, false, element);
      out["items"] = std::move(element);
      // An empty list is an absent one; only where something has to stand has a least size meaning.
      if (!nullable) out["minItems"] = rules.has_min() ? rules.min() : 1;
      if (rules.has_max()) out["maxItems"] = rules.max();
      if (rules.list() == v1::LIST_SET) out["uniqueItems"] = true;
    } else {
      Value(field, nullable, out);
    }
    if (!rules.default_().empty()) Put("default", JsonValueOf(field, rules.default_()), out);
    if (!rules.example().empty()) {
      const ordered_json example = JsonValueOf(field, rules.example());
      if (!example.is_null()) out["examples"] = ordered_json::array({example});
    }
    if (!rules.deprecated().empty()) {
      out["deprecated"] = true;
      out["deprecationMessage"] = rules.deprecated();
    }
    return out;
  }

  static void Put(const char* name, ordered_json value, ordered_json& out) {
    if (!value.is_null()) out[name] = std::move(value);
  }

  // One value of the field: the field itself, or an element of its list.
  void Value(const FieldInfo& field, bool nullable, ordered_json& out) {
    const v1::FieldRules& rules = field.rules;
    switch (field.kind) {
      case FieldKind::kMessage:
        out["$ref"] = absl::StrCat("#/$defs/", field.message->descriptor->name());
        if (!nullable) out["type"] = "object";  // the section itself allows null
        if (seen_.insert(field.message).second) wanted_.push_back(field.message);
        return;
      case FieldKind::kBool:
        return SetType(out, "boolean", nullable);
      case FieldKind::kInt:
        SetType(out, "integer", nullable);
        if (field.repeated || field.field->cpp_type() != FieldDescriptor::CPPTYPE_INT64) return;
        if (rules.has_min()) out["minimum"] = rules.min();
        if (rules.has_max()) out["maximum"] = rules.max();
        return;
      case FieldKind::kSecret:
        SetType(out, "string", nullable);
        out["minLength"] = 1;
        return;
      case FieldKind::kEnum:
        SetType(out, "string", nullable);
        return Choices(field.enum_names, nullable, out);
      default:
        SetTextType(out, rules, nullable);
        if (rules.one_of_size() > 0) {
          return Choices({rules.one_of().begin(), rules.one_of().end()}, nullable, out);
        }
        if (!field.repeated) Lengths(rules, out);
        if (!rules.pattern().empty()) {
          SetPattern(out, absl::StrCat("^(?:", rules.pattern(), ")$"), rules.means());
        } else {
          SetPattern(out, PatternOf(rules.format()), FormatWords(rules.format()));
        }
    }
  }

  static void Choices(const std::vector<std::string>& values, bool nullable, ordered_json& out) {
    if (values.size() == 1 && !nullable) {
      out["const"] = values[0];
      return;
    }
    out["enum"] = values;
    if (nullable) out["enum"].push_back(nullptr);
  }

  // Ours are in bytes, JSON Schema's in characters, of which there are never more.
  static void Lengths(const v1::FieldRules& rules, ordered_json& out) {
    if (rules.min() == 1) out["minLength"] = 1;
    if (rules.has_max()) out["maxLength"] = rules.max();
  }

  static void Map(const FieldInfo& field, bool nullable, ordered_json& out) {
    const v1::FieldRules& rules = field.rules;
    SetType(out, "object", nullable);
    if (!nullable) out["minProperties"] = 1;
    if (rules.has_max()) out["maxProperties"] = rules.max();
    if (field.value_kind == FieldKind::kConfigValue) {
      ordered_json keys = ordered_json::object();
      for (const K3sKey& key : SourceOf(*field.field->file()).k3s_keys)
        keys[std::string(key.name)] = Key(key);
      out["properties"] = std::move(keys);
      out["additionalProperties"] = false;
      return;
    }
    if (!PatternOf(rules.key_format()).empty()) {
      ordered_json names;
      SetPattern(names, PatternOf(rules.key_format()), FormatWords(rules.key_format()));
      out["propertyNames"] = std::move(names);
    }
    ordered_json value;
    SetTextType(value, rules, true);
    SetPattern(value, PatternOf(rules.format()), FormatWords(rules.format()));
    out["additionalProperties"] = std::move(value);
  }

  static std::string KeyWords(const FieldDoc& doc) {
    std::vector<std::string> facts;
    for (const Choice& choice : doc.choices) {
      facts.push_back(absl::StrCat("`", choice.value, "`: ", choice.means, "."));
    }
    if (!doc.default_text.empty())
      facts.push_back(absl::StrCat("Default: ", doc.default_text, "."));
    facts.push_back(absl::StrCat("On ", doc.k3s->on, "."));
    if (doc.cluster) facts.push_back("Cluster-scoped: the same on all servers.");
    if (doc.k3s->since != "v1.21" || !doc.k3s->ports.empty()) {
      facts.push_back(absl::StrCat("From K3s ", doc.k3s->since, " on",
                                   doc.k3s->ports.empty() ? "" : " (", doc.k3s->ports,
                                   doc.k3s->ports.empty() ? "." : ")."));
    }
    if (!doc.k3s->until.empty()) {
      facts.push_back(absl::StrCat("Until K3s ", doc.k3s->until, "; then ", doc.k3s->instead, "."));
    }
    return absl::StrCat(doc.description, "\n\n", absl::StrJoin(facts, " "));
  }

  // Values of a closed set; formats are left to `nodectl validate`, which knows both ways of
  // writing a list.
  static void KeyValue(const K3sKey& key, ordered_json& out) {
    if (key.open || key.values.empty()) return;
    std::vector<std::string> values;
    for (const schema::K3sValue& value : key.values) values.emplace_back(value.name);
    // Flannel's backends of old take options behind a "=".
    if (key.name == "flannel-backend") {
      out["pattern"] = absl::StrCat("^(", absl::StrJoin(values, "|"), ")(=.*)?$");
    } else {
      out["enum"] = values;
      out["enum"].push_back(nullptr);
    }
  }

  static ordered_json Key(const K3sKey& key) {
    const FieldDoc doc = DescribeK3sKey(key);
    ordered_json out{{"title", doc.name}};
    if (key.owner != K3sKeyOwner::kUser) {
      // Listed all the same: an editor can then say where it belongs.
      out["description"] = doc.description;
      out["type"] = "null";
      out["errorMessage"] = doc.description;
      out["doNotSuggest"] = true;
      return out;
    }
    out["description"] = KeyWords(doc);
    switch (key.type) {
      case K3sKeyType::kBool:
        SetType(out, "boolean", true);
        break;
      case K3sKeyType::kInt:
        SetType(out, "integer", true);
        if (key.max > 0) {
          out["minimum"] = key.min;
          out["maximum"] = key.max;
        }
        break;
      case K3sKeyType::kString:
        out["type"] = {"string", "integer", "null"};
        KeyValue(key, out);
        break;
      case K3sKeyType::kList:
        out["type"] = {"array", "string", "integer", "null"};
        out["items"] = {{"type", {"string", "number", "boolean"}}};
        break;
    }
    return out;
  }

  std::set<const MessageInfo*> seen_;
  std::vector<const MessageInfo*> wanted_;
};

}  // namespace

std::string JsonSchema(const Descriptor& kind) { return Writer().Document(kind).dump(2) + "\n"; }

}  // namespace basalt::docs
