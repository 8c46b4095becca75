#include "machineconfig/yaml/emit.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/schema/opaque.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::yaml {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;
using schema::FieldInfo;
using schema::FieldKind;

constexpr EmitOptions kInTheClear;

// A literal block keeps these texts unchanged, and is easy on the eye. Everything unusual (a first
// line that starts with a space, trailing blank lines, tabs or spaces alone in a line) is quoted.
bool FitsLiteral(absl::string_view text) {
  if (!absl::StrContains(text, '\n') || absl::StartsWith(text, "\n") ||
      absl::EndsWith(text, "\n\n")) {
    return false;
  }
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty()) continue;
    if (line[0] == '\t' || line.back() == ' ' || line.back() == '\t') return false;
    for (char c : line) {
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F) return false;
    }
  }
  return text[0] != ' ';
}

class Emitter {
 public:
  explicit Emitter(const EmitOptions& options) : options_(options) {}

  std::string Take() { return std::move(out_); }

  // The fields of `message`, one a line; the first one goes on the current line when `inline_first`
  // (behind "- ").
  void Fields(const Message& message, int indent, bool inline_first) {
    const schema::MessageInfo& info = schema::Describe(message.GetDescriptor());
    bool first = true;
    for (const FieldInfo& field : info.fields) {
      if (!IsPresent(message, field)) continue;
      if (!(first && inline_first)) out_.append(indent, ' ');
      first = false;
      Field(message, field, indent);
    }
    if (first) absl::StrAppend(&out_, inline_first ? "{}\n" : "");
  }

  // "name: value" of a field that is present.
  void Field(const Message& message, const FieldInfo& field, int indent) {
    absl::StrAppend(&out_, field.name, ":");
    if (field.kind == FieldKind::kMap) {
      Map(message, field, indent + 2);
    } else if (field.repeated) {
      List(message, field, indent + 2);
    } else {
      Value(message, field, -1, indent, " ");
    }
  }

  void Element(const Message& message, const FieldInfo& field, int index) {
    out_ += "- ";
    Value(message, field, index, 0, "");
  }

  void Entry(const Message& entry, const FieldInfo& field, int indent) {
    const auto* type = field.field->message_type();
    const Reflection& r = *entry.GetReflection();
    const std::string key = r.GetString(entry, type->map_key());
    absl::StrAppend(&out_, ScalarText(key), ":");
    if (field.value_kind == FieldKind::kString) {
      Text(r.GetString(entry, type->map_value()), indent, " ");
    } else {
      v1::ConfigValue scratch;
      ConfigValue(key, schema::Read(r.GetMessage(entry, type->map_value()), scratch), indent);
    }
  }

 private:
  static bool Empty(const Message& message) {
    for (const FieldInfo& field : schema::Describe(message.GetDescriptor()).fields) {
      if (IsPresent(message, field)) return false;
    }
    return true;
  }

  void Text(absl::string_view text, int indent, absl::string_view before) {
    if (!FitsLiteral(text)) {
      absl::StrAppend(&out_, before, ScalarText(text), "\n");
      return;
    }
    absl::StrAppend(&out_, before, absl::EndsWith(text, "\n") ? "|\n" : "|-\n");
    if (absl::EndsWith(text, "\n")) text.remove_suffix(1);
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      if (!line.empty()) out_.append(indent + 2, ' ');
      absl::StrAppend(&out_, line, "\n");
    }
  }

  // One value behind "name:" (`before` is a space) or behind "- " (`before` is empty).
  void Value(const Message& message, const FieldInfo& field, int index, int indent,
             absl::string_view before) {
    const Reflection& r = *message.GetReflection();
    switch (field.kind) {
      case FieldKind::kMessage: {
        const Message& child = index >= 0 ? r.GetRepeatedMessage(message, field.field, index)
                                          : r.GetMessage(message, field.field);
        if (Empty(child)) {
          absl::StrAppend(&out_, before, "{}\n");
        } else if (index >= 0) {
          Fields(child, indent + 2, true);
        } else {
          out_ += '\n';
          Fields(child, indent + 2, false);
        }
        return;
      }
      case FieldKind::kSecret: {
        v1::Secret scratch;
        const v1::Secret& secret =
            schema::Read(index >= 0 ? r.GetRepeatedMessage(message, field.field, index)
                                    : r.GetMessage(message, field.field),
                         scratch);
        if (options_.redact) {
          absl::StrAppend(&out_, before, QuotedText(kRedacted), "\n");
        } else if (secret.value_case() == v1::Secret::kSealed) {
          Text(secret.sealed(), indent, absl::StrCat(before, "!sealed "));
        } else {
          Text(secret.plain(), indent, before);
        }
        return;
      }
      case FieldKind::kString:
        if (options_.redact && field.rules.secret()) {
          absl::StrAppend(&out_, before, QuotedText(kRedacted), "\n");
          return;
        }
        Text(index >= 0 ? r.GetRepeatedString(message, field.field, index)
                        : r.GetString(message, field.field),
             indent, before);
        return;
      default:
        absl::StrAppend(&out_, before, FlowText(message, field, index), "\n");
    }
  }

  void List(const Message& message, const FieldInfo& field, int indent) {
    out_ += '\n';
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field.field); ++i) {
      out_.append(indent, ' ');
      out_ += "- ";
      Value(message, field, i, indent, "");
    }
  }

  void Map(const Message& message, const FieldInfo& field, int indent) {
    const Reflection& r = *message.GetReflection();
    const auto* type = field.field->message_type();
    std::map<std::string, const Message*> entries;
    for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
      const Message& entry = r.GetRepeatedMessage(message, field.field, i);
      entries.emplace(entry.GetReflection()->GetString(entry, type->map_key()), &entry);
    }
    out_ += '\n';
    for (const auto& [key, entry] : entries) {
      out_.append(indent, ' ');
      Entry(*entry, field, indent);
    }
  }

  void ConfigValue(absl::string_view key, const v1::ConfigValue& value, int indent) {
    const schema::K3sKey* known = schema::FindK3sKey(key);
    if (options_.redact && known != nullptr && known->secret) {
      absl::StrAppend(&out_, " ", QuotedText(kRedacted), "\n");
      return;
    }
    switch (value.value_case()) {
      case v1::ConfigValue::kBoolean:
        absl::StrAppend(&out_, value.boolean() ? " true\n" : " false\n");
        return;
      case v1::ConfigValue::kInteger:
        absl::StrAppend(&out_, " ", value.integer(), "\n");
        return;
      case v1::ConfigValue::kText:
        return Text(value.text(), indent, " ");
      case v1::ConfigValue::kList:
        if (value.list().values().empty()) {
          out_ += " []\n";
          return;
        }
        out_ += '\n';
        for (const std::string& element : value.list().values()) {
          out_.append(indent + 2, ' ');
          out_ += "- ";
          Text(element, indent + 2, "");
        }
        return;
      case v1::ConfigValue::VALUE_NOT_SET:
        out_ += " null\n";
    }
  }

  const EmitOptions& options_;
  std::string out_;
};

}  // namespace

std::string Emit(const google::protobuf::Message& message, const EmitOptions& options) {
  Emitter emitter(options);
  emitter.Fields(message, 0, false);
  std::string out = emitter.Take();
  return out.empty() ? "{}\n" : out;
}

bool IsPresent(const Message& message, const FieldInfo& field) {
  const Reflection& r = *message.GetReflection();
  if (field.repeated || field.kind == FieldKind::kMap) {
    return r.FieldSize(message, field.field) > 0;
  }
  if (!r.HasField(message, field.field)) return false;
  // What only code can make: a Secret that holds nothing, an enum of 0.
  if (field.kind == FieldKind::kSecret) {
    v1::Secret scratch;
    return schema::Read(r.GetMessage(message, field.field), scratch).value_case() !=
           v1::Secret::VALUE_NOT_SET;
  }
  return field.kind != FieldKind::kEnum || r.GetEnumValue(message, field.field) != 0;
}

std::string EmitField(const Message& message, const FieldInfo& field) {
  Emitter emitter(kInTheClear);
  emitter.Field(message, field, 0);
  return emitter.Take();
}

std::string EmitElement(const Message& message, const FieldInfo& field, int index) {
  Emitter emitter(kInTheClear);
  emitter.Element(message, field, index);
  return emitter.Take();
}

std::string EmitEntry(const Message& entry, const FieldInfo& field) {
  Emitter emitter(kInTheClear);
  emitter.Entry(entry, field, 0);
  return emitter.Take();
}

}  // namespace basalt::yaml
