#include "machineconfig/yaml/decoder.h"

#include <bitset>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/schema/opaque.h"
#include "machineconfig/yaml/scalar.h"
#include "machineconfig/yaml/text_check.h"

namespace basalt::yaml {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;
using schema::FieldInfo;
using schema::FieldKind;
using schema::MessageInfo;

std::string Shown(absl::string_view text) {
  if (text.size() > 64) return absl::StrCat("`", text.substr(0, 61), "...`");
  return absl::StrCat("`", text, "`");
}

absl::string_view KindWord(const Node& node) {
  switch (node.kind) {
    case NodeKind::kNull:
      return "nothing";
    case NodeKind::kPlain:
      if (ParseBool(node.text)) return "true or false";
      // True and NULL are words to us: only the lower-case spellings mean something.
      return ReadsAsOther(node.text) && node.text.find_first_of("0123456789") != std::string::npos
                 ? "a number"
                 : "text";
    case NodeKind::kQuoted:
      return "quoted text";
    case NodeKind::kSequence:
      return "a list";
    case NodeKind::kMap:
      return "a map";
  }
  return "";
}

}  // namespace

class Decoder::Scope {
 public:
  Scope(Decoder& decoder, const Node& at, const std::string& path)
      : decoder_(decoder), before_(std::move(decoder.path_)) {
    decoder.path_ = path;
    decoder.result_.source.emplace(path, Position{at.line, at.column});
  }
  ~Scope() { decoder_.path_ = std::move(before_); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Decoder& decoder_;
  std::string before_;
};

void Decoder::Blame(const Node& node) {
  for (api::Violation& error : result_.errors) {
    if (error.path.empty() && error.line == node.line && error.column == node.column) {
      error.path = path_;
    }
  }
}

bool Decoder::full() const { return result_.errors.size() > kMaxErrors; }

void Decoder::Error(const Node& node, absl::string_view reason, absl::string_view message,
                    absl::string_view hint) {
  if (full()) return;
  result_.errors.push_back({.reason = std::string(reason),
                            .file = std::string(file_),
                            .line = node.line,
                            .column = node.column,
                            .path = path_,
                            .message = std::string(message),
                            .hint = std::string(hint)});
}

void Decoder::WrongType(const Node& node, absl::string_view expected, absl::string_view hint) {
  Error(node, "wrong-type", absl::StrCat("expected ", expected, ", found ", KindWord(node)), hint);
}

void Decoder::Message(const Node& node, const MessageInfo& info, Msg& message) {
  if (node.broken) return;
  if (node.kind != NodeKind::kMap) {
    std::vector<absl::string_view> names;
    for (const FieldInfo& field : info.fields) names.push_back(field.name);
    std::string hint;
    if (node.scalar() && !path_.empty() && path_.back() == ']') {
      hint = absl::StrCat("write - {", absl::StrJoin(names, ": ..., "), ": ...}");
    } else if (node.kind == NodeKind::kSequence) {
      hint = "write the fields without `- `";
    }
    WrongType(node, absl::StrCat("a section with the fields ", absl::StrJoin(names, ", ")), hint);
    return;
  }
  std::vector<const Node*> seen(info.fields.size(), nullptr);
  absl::flat_hash_map<const google::protobuf::OneofDescriptor*, const Node*> members;
  for (int i = node.first_child; i >= 0 && !full();) {
    const Node& key = tree_.at(i);
    if (key.next < 0) return;  // a map always has its values; the tree was cut
    const Node& value = tree_.at(key.next);
    i = value.next;
    if (key.broken) continue;
    const FieldInfo* field = key.sealed ? nullptr : info.Find(key.text);
    if (field == nullptr) {
      UnknownField(key, info);
      continue;
    }
    Scope scope(*this, key, schema::Child(path_, field->name));
    if (const Node* first = seen[field->index]) {
      Error(key, "duplicate-field",
            absl::StrCat("the field is given twice; first at ", first->line, ":", first->column),
            "remove one of the two");
      continue;
    }
    seen[field->index] = &key;
    if (const auto* oneof = field->field->real_containing_oneof();
        oneof != nullptr && value.kind != NodeKind::kNull) {
      auto [it, fresh] = members.try_emplace(oneof, &key);
      if (!fresh) {
        Error(key, "conflict",
              absl::StrCat("cannot stand beside `", it->second->text, "` (line ", it->second->line,
                           ")"),
              "keep one of the two");
        continue;
      }
    }
    Field(value, *field, message);
  }
}

void Decoder::UnknownField(const Node& key, const MessageInfo& info) {
  const std::string parent = path_;
  Scope scope(*this, key, schema::Child(path_, key.text.substr(0, schema::kMaxPathKey)));
  if (key.kind == NodeKind::kPlain && key.text == "<<") {
    Error(key, "merge-key", "merge keys (<<) are not accepted", "write the fields out");
    return;
  }
  if (key.sealed) {
    Error(key, "tag", "a key cannot be sealed", "the tag !sealed belongs to the value");
    return;
  }
  std::vector<absl::string_view> names;
  for (const FieldInfo& field : info.fields) names.push_back(field.name);
  std::string hint;
  const std::string elsewhere = schema::UniquePathOf(root_, key.text);
  const std::string near = schema::Nearest(key.text, names);
  const absl::string_view before_colon = absl::string_view(key.text).substr(0, key.text.find(':'));
  // One letter off here, or one where a list wants many (`address`), is likelier than the right
  // word in the wrong place.
  const bool very_near =
      !near.empty() && (schema::EditDistance(key.text, near) <= 1 || near == key.text + "es");
  if (before_colon.size() < key.text.size() && info.Find(before_colon) != nullptr) {
    hint = absl::StrCat("write a space after the colon of `", before_colon, "`");
  } else if (!elsewhere.empty() && !very_near) {
    const size_t dot = elsewhere.rfind('.');
    hint = dot == std::string::npos
               ? absl::StrCat("`", key.text, "` belongs at the top level")
               : absl::StrCat("`", key.text, "` belongs under `", elsewhere.substr(0, dot), "`");
  } else if (!near.empty()) {
    hint = absl::StrCat("did you mean `", near, "`?");
  } else if (const schema::K3sKey* k3s = schema::FindK3sKey(key.text);
             k3s != nullptr && info.descriptor == v1::K3s::descriptor()) {
    hint =
        k3s->owner == schema::K3sKeyOwner::kTyped
            ? absl::StrCat("the field for it is `", k3s->note, "`")
            : absl::StrCat("K3s's own keys belong under `", schema::Child(parent, "config"), "`");
  } else {
    hint = absl::StrCat("known here: ", absl::StrJoin(names, ", "));
  }
  Error(key, "unknown-field", "unknown field", hint);
}

void Decoder::Field(const Node& node, const FieldInfo& field, Msg& message) {
  if (node.broken) return Blame(node);
  if (node.kind == NodeKind::kNull) return;
  if (field.kind == FieldKind::kMap) {
    Map(node, field, message);
  } else if (field.repeated) {
    List(node, field, message);
  } else {
    Scalar(node, field, message);
  }
}

absl::string_view Decoder::PeekKey(const Node& element, const FieldInfo& field) const {
  if (field.key == nullptr || element.kind != NodeKind::kMap) return "";
  for (int i = element.first_child; i >= 0;) {
    const Node& key = tree_.at(i);
    if (key.next < 0) return "";
    const Node& value = tree_.at(key.next);
    if (key.text == field.key->name && value.scalar() && !value.broken && !value.sealed) {
      return value.text;
    }
    i = value.next;
  }
  return "";
}

std::string Decoder::ListHint(const Node& node, const FieldInfo& field) const {
  if (node.scalar() && !node.sealed && field.kind == FieldKind::kString && node.text.size() <= 64) {
    const bool dash = node.kind == NodeKind::kPlain && absl::StartsWith(node.text, "-");
    return dash ? "write a space after the `-`" : absl::StrCat("write [", node.text, "]");
  }
  // {HTTP_PROXY: ...} where [{name: HTTP_PROXY, ...}] is meant.
  if (node.kind == NodeKind::kMap && field.key != nullptr && node.first_child >= 0) {
    const Node& name = tree_.at(node.first_child);
    if (field.message->Find(name.text) == nullptr && name.text.size() <= schema::kMaxPathKey) {
      return absl::StrCat("write `- ", field.key->name, ": ", name.text,
                          "` and what belongs to it below that line");
    }
  }
  return "write one `- ` before each element";
}

void Decoder::List(const Node& node, const FieldInfo& field, Msg& message) {
  if (node.kind != NodeKind::kSequence) return WrongType(node, "a list", ListHint(node, field));
  absl::flat_hash_set<absl::string_view> keys;
  int index = 0;
  for (int i = node.first_child; i >= 0 && !full(); i = tree_.at(i).next, ++index) {
    const Node& element = tree_.at(i);
    const absl::string_view key = PeekKey(element, field);
    // The same rule as schema::ElementPath.
    const bool by_key =
        !key.empty() && key.size() <= schema::kMaxPathKey && keys.insert(key).second;
    Scope scope(*this, element,
                by_key ? schema::Element(path_, key) : schema::Element(path_, index));
    if (element.broken) Blame(element);
    if (element.kind == NodeKind::kNull && !element.broken) {
      Error(element, "empty-element", "an element of the list is empty", "remove the `-`");
    }
    Scalar(element, field, message);
  }
}

void Decoder::Scalar(const Node& node, const FieldInfo& field, Msg& message) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor* fd = field.field;
  // An element that cannot be read is added all the same: the others keep their index.
  switch (field.kind) {
    case FieldKind::kMessage:
    case FieldKind::kSecret:
    case FieldKind::kConfigValue: {
      Msg& child = field.repeated ? *reflection.AddMessage(&message, fd)
                                  : *reflection.MutableMessage(&message, fd);
      if (node.kind == NodeKind::kNull) return;
      if (field.kind == FieldKind::kMessage) return Message(node, *field.message, child);
      if (field.kind == FieldKind::kSecret) return Secret(node, child);
      return ConfigValue(node, child);
    }
    default:
      break;
  }
  if (node.sealed) {
    Error(node, "tag", "this field is not a secret", "the tag !sealed belongs to secrets alone");
  }
  const bool readable = node.scalar() && !node.broken && !node.sealed;
  switch (field.kind) {
    case FieldKind::kString: {
      if (!readable && node.kind != NodeKind::kNull && !node.broken && !node.sealed) {
        WrongType(node, "text",
                  node.kind == NodeKind::kMap ? "quote the text if it holds `: `" : "");
      }
      if (!readable && !field.repeated) return;
      std::string text = readable ? node.text : "";
      Put(
          field, [&] { reflection.SetString(&message, fd, std::move(text)); },
          [&] { reflection.AddString(&message, fd, std::move(text)); });
      return;
    }
    case FieldKind::kBool: {
      const std::optional<bool> value =
          readable && node.kind == NodeKind::kPlain ? ParseBool(node.text) : std::nullopt;
      if (!value && node.kind != NodeKind::kNull && !node.broken && !node.sealed) {
        WrongType(node, "true or false",
                  node.scalar() ? "write true or false, in lower case and without quotes" : "");
      }
      if (!value && !field.repeated) return;
      Put(
          field, [&] { reflection.SetBool(&message, fd, *value); },
          [&] { reflection.AddBool(&message, fd, value.value_or(false)); });
      return;
    }
    case FieldKind::kInt:
      if (readable) return Int(node, field, message);
      if (node.kind != NodeKind::kNull && !node.broken && !node.sealed) {
        WrongType(node, "a whole number");
      }
      return;
    case FieldKind::kEnum:
      if (readable) return Enum(node, field, message);
      if (node.kind != NodeKind::kNull && !node.broken && !node.sealed) {
        WrongType(node, absl::StrCat("one of ", absl::StrJoin(field.enum_names, ", ")));
      }
      return;
    default:
      Error(node, "unsupported", "the field cannot be written in a document");
  }
}

void Decoder::Int(const Node& node, const FieldInfo& field, Msg& message) {
  if (node.kind == NodeKind::kQuoted) {
    return WrongType(node, "a whole number", IsWholeNumber(node.text) ? "remove the quotes" : "");
  }
  if (!IsWholeNumber(node.text)) {
    return Error(node, "wrong-type",
                 absl::StrCat("expected a whole number, found ", Shown(node.text)),
                 "decimal digits only: no leading zero, no 0x, no exponent, no unit");
  }
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor* fd = field.field;
  const bool is_unsigned = fd->cpp_type() == FieldDescriptor::CPPTYPE_UINT32 ||
                           fd->cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
  const bool is_short = fd->cpp_type() == FieldDescriptor::CPPTYPE_INT32 ||
                        fd->cpp_type() == FieldDescriptor::CPPTYPE_UINT32;
  int64_t value = 0;
  uint64_t magnitude = 0;
  bool fits =
      is_unsigned ? absl::SimpleAtoi(node.text, &magnitude) : absl::SimpleAtoi(node.text, &value);
  if (is_short) {
    fits = fits && (is_unsigned ? magnitude <= std::numeric_limits<uint32_t>::max()
                                : value >= std::numeric_limits<int32_t>::min() &&
                                      value <= std::numeric_limits<int32_t>::max());
  }
  if (!fits) {
    return Error(node, "out-of-range",
                 absl::StrCat("the number ", Shown(node.text), " is too ",
                              node.text[0] == '-' ? "small" : "large"));
  }
  const bool add = field.repeated;
  switch (fd->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return add ? reflection.AddInt32(&message, fd, static_cast<int32_t>(value))
                 : reflection.SetInt32(&message, fd, static_cast<int32_t>(value));
    case FieldDescriptor::CPPTYPE_UINT32:
      return add ? reflection.AddUInt32(&message, fd, static_cast<uint32_t>(magnitude))
                 : reflection.SetUInt32(&message, fd, static_cast<uint32_t>(magnitude));
    case FieldDescriptor::CPPTYPE_UINT64:
      return add ? reflection.AddUInt64(&message, fd, magnitude)
                 : reflection.SetUInt64(&message, fd, magnitude);
    default:
      return add ? reflection.AddInt64(&message, fd, value)
                 : reflection.SetInt64(&message, fd, value);
  }
}

void Decoder::Enum(const Node& node, const FieldInfo& field, Msg& message) {
  const auto* value = schema::FindEnum(*field.field->enum_type(), node.text);
  if (value == nullptr) {
    std::vector<absl::string_view> names(field.enum_names.begin(), field.enum_names.end());
    const std::string near = schema::Nearest(node.text, names);
    return Error(node, "not-allowed",
                 absl::StrCat(Shown(node.text), " is not one of ", absl::StrJoin(names, ", ")),
                 near.empty() ? "" : absl::StrCat("did you mean `", near, "`?"));
  }
  const Reflection& reflection = *message.GetReflection();
  Put(
      field, [&] { reflection.SetEnum(&message, field.field, value); },
      [&] { reflection.AddEnum(&message, field.field, value); });
}

void Decoder::Map(const Node& node, const FieldInfo& field, Msg& message) {
  if (node.kind != NodeKind::kMap) {
    return WrongType(node, "a map of names to values", "write {name: value}");
  }
  absl::flat_hash_map<absl::string_view, const Node*> seen;
  for (int i = node.first_child; i >= 0 && !full();) {
    const Node& key = tree_.at(i);
    if (key.next < 0) return;
    const Node& value = tree_.at(key.next);
    i = value.next;
    Scope scope(*this, key, schema::Element(path_, key.text));
    if (key.kind == NodeKind::kPlain && key.text == "<<") {
      Error(key, "merge-key", "merge keys (<<) are not accepted", "write the entries out");
      continue;
    }
    if (key.sealed) {
      Error(key, "tag", "a key cannot be sealed", "the tag !sealed belongs to the value");
      continue;
    }
    if (key.broken) continue;
    auto [it, fresh] = seen.try_emplace(key.text, &key);
    if (!fresh) {
      Error(key, "duplicate-field",
            absl::StrCat("the key is given twice; first at ", it->second->line, ":",
                         it->second->column),
            "remove one of the two");
      continue;
    }
    MapValue(value, field, key.text, message);
  }
}

void Decoder::MapValue(const Node& node, const FieldInfo& field, absl::string_view key,
                       Msg& message) {
  if (node.broken) return Blame(node);
  if (node.kind == NodeKind::kNull) return;
  if (node.sealed) {
    return Error(node, "tag", "this field is not a secret",
                 "the tag !sealed belongs to secrets alone");
  }
  if (field.value_kind == FieldKind::kString) {
    if (!node.scalar()) return WrongType(node, "text");
    const bool number =
        field.rules.numbers() && node.text.find_first_not_of("-0123456789") == std::string::npos;
    if (node.kind == NodeKind::kPlain && ReadsAsOther(node.text) && !number) {
      return WrongType(node, "text", absl::StrCat("quote it: \"", node.text.substr(0, 64), "\""));
    }
  }
  const Reflection& reflection = *message.GetReflection();
  Msg& entry = *reflection.AddMessage(&message, field.field);
  const auto* type = field.field->message_type();
  entry.GetReflection()->SetString(&entry, type->map_key(), std::string(key));
  if (field.value_kind == FieldKind::kString) {
    entry.GetReflection()->SetString(&entry, type->map_value(), node.text);
  } else if (field.value_kind == FieldKind::kConfigValue) {
    ConfigValue(node, *entry.GetReflection()->MutableMessage(&entry, type->map_value()));
  } else {
    Error(node, "unsupported", "the field cannot be written in a document");
  }
}

void Decoder::Secret(const Node& node, Msg& message) {
  if (node.broken) return;
  if (!node.scalar()) return WrongType(node, "the text of a secret");
  v1::Secret secret;
  if (node.sealed) {
    secret.set_sealed(node.text);
  } else {
    secret.set_plain(node.text);
  }
  schema::Write(secret, message);
}

void Decoder::ConfigValue(const Node& node, Msg& message) {
  v1::ConfigValue value;
  ConfigValue(node, value);
  schema::Write(value, message);
}

void Decoder::ConfigValue(const Node& node, v1::ConfigValue& value) {
  if (node.broken) return;
  if (node.sealed) {
    return Error(node, "tag", "this field is not a secret",
                 "the tag !sealed belongs to secrets alone");
  }
  if (node.kind == NodeKind::kQuoted) return value.set_text(node.text);
  if (node.kind == NodeKind::kPlain) {
    if (auto boolean = ParseBool(node.text)) return value.set_boolean(*boolean);
    if (!IsWholeNumber(node.text)) return value.set_text(node.text);
    int64_t number = 0;
    if (!absl::SimpleAtoi(node.text, &number)) {
      return Error(node, "out-of-range",
                   absl::StrCat("the number ", Shown(node.text), " does not fit into 64 bits"),
                   "quote it if it is text");
    }
    return value.set_integer(number);
  }
  if (node.kind == NodeKind::kMap) {
    return WrongType(node, "true or false, a number, text or a list of them");
  }
  auto& list = *value.mutable_list();
  int index = 0;
  for (int i = node.first_child; i >= 0 && !full(); i = tree_.at(i).next, ++index) {
    const Node& element = tree_.at(i);
    Scope scope(*this, element, schema::Element(path_, index));
    if (element.broken) continue;
    if (element.kind == NodeKind::kNull) {
      Error(element, "empty-element", "an element of the list is empty", "remove the `-`");
    } else if (!element.scalar() || element.sealed) {
      WrongType(element, "text");
    } else {
      list.add_values(element.text);
    }
  }
}

}  // namespace basalt::yaml
