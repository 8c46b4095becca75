#include "machineconfig/docs/field_doc.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "api/coded_status.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"
#include "machineconfig/docs/comments.h"
#include "machineconfig/docs/json_value.h"
#include "nlohmann/json.hpp"

namespace basalt::docs {
namespace {

using google::protobuf::Descriptor;
using schema::FieldInfo;
using schema::FieldKind;
using schema::K3sKey;
using schema::MessageInfo;

// Of fields that do not say since when they are there.
constexpr absl::string_view kFirstRelease = "0.1.0";
constexpr int kDeepest = 12;

std::string ElementWord(FieldKind kind, bool many) {
  switch (kind) {
    case FieldKind::kString:
    case FieldKind::kEnum:
      return many ? "strings" : "string";
    case FieldKind::kBool:
      return many ? "booleans" : "boolean";
    case FieldKind::kInt:
      return many ? "integers" : "integer";
    case FieldKind::kSecret:
      return many ? "secrets" : "secret";
    case FieldKind::kMessage:
      return many ? "sections" : "section";
    default:
      return many ? "values" : "value";
  }
}

bool IsK3sConfig(const FieldInfo& field) { return field.value_kind == FieldKind::kConfigValue; }

bool IsMachineConfig(const Descriptor& kind) {
  return kind.full_name() == v1::MachineConfig::descriptor()->full_name();
}

// A node may know more of them than this program.
std::string NameOf(const google::protobuf::EnumDescriptor& type, int number) {
  const auto* value = type.FindValueByNumber(number);
  return value == nullptr ? absl::StrCat("number-", number) : schema::EnumName(*value);
}

std::string TypeOf(const FieldInfo& field) {
  if (IsK3sConfig(field)) return "map of K3s's own keys";
  if (field.kind == FieldKind::kMap) {
    return absl::StrCat("map of ", ElementWord(field.value_kind, true));
  }
  return absl::StrCat(field.repeated ? "list of " : "", ElementWord(field.kind, field.repeated));
}

class Walk {
 public:
  explicit Walk(const Descriptor& kind)
      : kind_(kind.name()), source_(SourceOf(*kind.file())), effects_(IsMachineConfig(kind)) {}

  // What a section says of its fields where they say nothing themselves.
  struct Inherited {
    v1::Effect effect = v1::EFFECT_LIVE;
    bool cluster = false;
  };

  FieldDoc Field(const FieldInfo& field, const std::string& parent, Inherited inherited,
                 int depth) const {
    const v1::FieldRules& rules = field.rules;
    const v1::Effect effect =
        rules.effect() == v1::EFFECT_UNSPECIFIED ? inherited.effect : rules.effect();
    const bool cluster = inherited.cluster || rules.cluster_scoped();
    FieldDoc doc{.kind = kind_,
                 .path = schema::Child(parent, field.name),
                 .name = field.name,
                 .type = TypeOf(field),
                 .description = std::string(CommentOf(*field.field))};
    if (rules.format() != v1::FORMAT_UNSPECIFIED) {
      doc.format = FormatName(rules.format());
      doc.format_words = std::string(FormatWords(rules.format()));
    } else if (!rules.pattern().empty()) {
      doc.format_words = rules.means();
    }
    if (rules.key_format() != v1::FORMAT_UNSPECIFIED) {
      doc.key_format = FormatName(rules.key_format());
    }
    doc.pattern = rules.pattern();
    doc.limits = LimitsOf(field);
    doc.choices = ChoicesOf(field);
    doc.default_text = rules.default_();
    doc.example = rules.example();
    if (field.message != nullptr && !doc.example.empty()) {
      doc.example_json = JsonValueOf(field, doc.example).dump();
    }
    if (effects_) SetEffect(effect, doc);
    doc.since = rules.since().empty() ? std::string(kFirstRelease) : rules.since();
    doc.deprecated = rules.deprecated();
    doc.required = rules.required();
    doc.filled_in = rules.filled_in();
    doc.secret = rules.secret() || field.kind == FieldKind::kSecret;
    if (const auto* oneof = field.field->real_containing_oneof(); oneof != nullptr) {
      for (int i = 0; i < oneof->field_count(); ++i) {
        if (oneof->field(i) != field.field) doc.excludes.push_back(oneof->field(i)->json_name());
      }
    }
    doc.cluster = cluster;
    if (field.key != nullptr) doc.element_key = field.key->name;
    if (field.message != nullptr) {
      if (doc.description.empty()) doc.description = Comment(*field.message);
      if (depth < kDeepest)
        doc.fields = Fields(*field.message, doc.path, {effect, cluster}, depth + 1);
    }
    if (IsK3sConfig(field)) {
      for (const K3sKey& key : source_.k3s_keys) {
        FieldDoc below = DescribeK3sKey(key);
        below.kind = kind_;
        below.path = schema::Child(doc.path, key.name);
        if (effects_) SetEffect(key.fixed ? v1::EFFECT_REINSTALL : effect, below);
        doc.fields.push_back(std::move(below));
      }
    }
    return doc;
  }

  std::vector<FieldDoc> Fields(const MessageInfo& info, const std::string& path,
                               Inherited inherited, int depth) const {
    std::vector<FieldDoc> out;
    for (const FieldInfo& field : info.fields) out.push_back(Field(field, path, inherited, depth));
    return out;
  }

  static std::string Comment(const MessageInfo& info) {
    return std::string(CommentOf(*info.descriptor));
  }

 private:
  static void SetEffect(v1::Effect effect, FieldDoc& doc) {
    doc.effect = EffectName(effect);
    doc.effect_words = std::string(CommentOf(absl::StrCat("basalt.v1.", v1::Effect_Name(effect))));
  }

  const std::string kind_;
  const Source& source_;
  const bool effects_;  // of a MachineConfig alone: policies and actions are no state of a node
};

// The first word of a path, and what is behind it. Brackets hold keys of elements and of maps, in
// which `\` escapes.
struct Step {
  std::string word;
  bool bracket = false;
};
std::vector<Step> Steps(absl::string_view path) {
  std::vector<Step> out;
  size_t i = 0;
  while (i < path.size()) {
    Step step;
    if (path[i] == '[') {
      step.bracket = true;
      for (++i; i < path.size() && path[i] != ']'; ++i) {
        if (path[i] == '\\' && i + 1 < path.size()) ++i;
        step.word += path[i];
      }
      if (i < path.size()) ++i;
    } else {
      for (; i < path.size() && path[i] != '.' && path[i] != '['; ++i) step.word += path[i];
    }
    if (i < path.size() && path[i] == '.') ++i;
    out.push_back(std::move(step));
  }
  return out;
}

const FieldDoc* Find(const FieldDoc& doc, absl::string_view name) {
  for (const FieldDoc& field : doc.fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

std::string Qualified(const Descriptor& kind, absl::string_view path) {
  if (IsMachineConfig(kind)) return std::string(path);
  return path.empty() ? kind.name() : absl::StrCat(kind.name(), ".", path);
}

absl::Status UnknownPath(const Descriptor& kind, const FieldDoc& at, const std::string& word) {
  std::vector<absl::string_view> names;
  for (const FieldDoc& field : at.fields) names.push_back(field.name);
  std::string hint;
  const std::string near = schema::Nearest(word, names);
  const std::string elsewhere = schema::UniquePathOf(schema::Describe(&kind), word);
  if (!near.empty()) {
    hint = absl::StrCat("did you mean `", Qualified(kind, schema::Child(at.path, near)), "`?");
  } else if (!elsewhere.empty()) {
    hint = absl::StrCat("did you mean `", Qualified(kind, elsewhere), "`?");
  } else if (IsMachineConfig(kind) && SourceOf(*kind.file()).FindKey(word) != nullptr) {
    hint = absl::StrCat("did you mean `k3s.config.", word, "`?");
  } else if (at.fields.empty()) {
    hint = absl::StrCat("`", Qualified(kind, at.path), "` has no fields below it");
  } else if (at.fields.size() <= 24) {
    hint = absl::StrCat("known here: ", absl::StrJoin(names, ", "));
  } else {
    hint = absl::StrCat("nodectl explain ", Qualified(kind, at.path), " lists them");
  }
  const std::string where = at.path.empty() ? kind.name() : absl::StrCat("`", at.path, "`");
  return api::Coded(absl::StatusCode::kNotFound, "unknown-path",
                    absl::StrCat(where, " has no field `", word, "`"), hint);
}

void CollectPaths(const Descriptor& kind, const FieldDoc& doc, std::vector<std::string>& out) {
  for (const FieldDoc& field : doc.fields) {
    out.push_back(Qualified(kind, field.path));
    CollectPaths(kind, field, out);
  }
}

}  // namespace

const std::vector<const Descriptor*>& Kinds() { return BuiltIn().kinds; }

const Descriptor* FindKind(absl::string_view name) { return BuiltIn().FindKind(name); }

FieldDoc DescribeKind(const Descriptor& kind) {
  const Walk walk(kind);
  const MessageInfo& info = schema::Describe(&kind);
  FieldDoc doc{.kind = kind.name(), .type = "document", .description = Walk::Comment(info)};
  doc.since = std::string(kFirstRelease);
  doc.fields = walk.Fields(info, "", {}, 0);
  return doc;
}

absl::StatusOr<FieldDoc> Explain(absl::string_view path, const Source& source) {
  std::vector<Step> steps = Steps(path);
  const Descriptor* kind = &source.machine_config();
  size_t next = 0;
  if (!steps.empty() && !steps[0].bracket &&
      schema::Describe(kind).Find(steps[0].word) == nullptr) {
    if (const Descriptor* named = source.FindKind(steps[0].word); named != nullptr) {
      kind = named;
      next = 1;
    }
  }
  const FieldDoc root = DescribeKind(*kind);
  const FieldDoc* at = &root;
  for (; next < steps.size(); ++next) {
    const std::string& word = steps[next].word;
    const FieldDoc* below = Find(*at, word);
    const bool list = absl::StartsWith(at->type, "list of ");
    const bool map = absl::StartsWith(at->type, "map of ");
    if (steps[next].bracket && !(map && below != nullptr)) {
      // The element of a list or of a map is described with the whole.
      if (list || (map && at->fields.empty())) continue;
      return UnknownPath(*kind, *at, word);
    }
    if (below == nullptr && map && at->fields.empty()) {
      // The rest is one key: label keys hold dots.
      break;
    }
    if (below == nullptr) return UnknownPath(*kind, *at, word);
    at = below;
  }
  return *at;
}

std::vector<std::string> AllPaths() {
  std::vector<std::string> out;
  for (const Descriptor* kind : Kinds()) {
    out.push_back(kind->name());
    CollectPaths(*kind, DescribeKind(*kind), out);
  }
  return out;
}

bool EffectsDiffer(const FieldDoc& doc) {
  for (const FieldDoc& field : doc.fields) {
    if (field.effect != doc.effect || EffectsDiffer(field)) return true;
  }
  return false;
}

std::string FormatName(v1::Format format) { return NameOf(*v1::Format_descriptor(), format); }

absl::string_view FormatWords(v1::Format format) {
  return CommentOf(absl::StrCat("basalt.v1.", v1::Format_Name(format)));
}

std::string EffectName(v1::Effect effect) { return NameOf(*v1::Effect_descriptor(), effect); }

std::vector<Choice> ChoicesOf(const FieldInfo& field) {
  std::vector<Choice> out;
  if (field.kind == FieldKind::kEnum) {
    const auto& type = *field.field->enum_type();
    for (int i = 0; i < type.value_count(); ++i) {
      if (type.value(i)->number() == 0) continue;
      // protobuf scopes values beside their type, as C does.
      out.push_back({schema::EnumName(*type.value(i)), std::string(CommentOf(*type.value(i)))});
    }
  }
  for (const std::string& value : field.rules.one_of()) out.push_back({value, ""});
  return out;
}

std::string LimitsOf(const FieldInfo& field) {
  const v1::FieldRules& rules = field.rules;
  if (!rules.has_min() && !rules.has_max()) return "";
  const std::string bounds = rules.has_min() && rules.has_max()
                                 ? absl::StrCat("from ", rules.min(), " to ", rules.max())
                             : rules.has_min() ? absl::StrCat("at least ", rules.min())
                                               : absl::StrCat("at most ", rules.max());
  if (field.repeated || field.kind == FieldKind::kMap) return absl::StrCat(bounds, " elements");
  return field.kind == FieldKind::kInt ? bounds : absl::StrCat(bounds, " bytes");
}

}  // namespace basalt::docs
