#include "machineconfig/yaml/flow.h"

#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/schema/opaque.h"
#include "machineconfig/yaml/scalar.h"

namespace basalt::yaml {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using schema::FieldInfo;
using schema::FieldKind;

bool PlainIsSafe(absl::string_view text) {
  if (NeedsQuotes(text)) return false;
  const char first = text[0];
  if (!absl::ascii_isalnum(first) && first != '/' && first != '_' && first != '.' && first != '+') {
    return false;
  }
  if (text.back() == ' ' || text.back() == ':') return false;
  // `...` ends a document.
  if (absl::StartsWith(text, "...")) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (absl::ascii_isalnum(c) || absl::StrContains("/_.+=@~^-()*;$<>", absl::string_view(&c, 1))) {
      continue;
    }
    if (c == ':' && text[i + 1] != ' ') continue;
    if (c == ' ' && text[i + 1] != '#' && text[i + 1] != ' ') continue;
    return false;
  }
  return true;
}

std::string ConfigText(const v1::ConfigValue& value) {
  switch (value.value_case()) {
    case v1::ConfigValue::kBoolean:
      return value.boolean() ? "true" : "false";
    case v1::ConfigValue::kInteger:
      return absl::StrCat(value.integer());
    case v1::ConfigValue::kText:
      return ScalarText(value.text());
    case v1::ConfigValue::kList: {
      std::vector<std::string> parts;
      for (const std::string& v : value.list().values()) parts.push_back(ScalarText(v));
      return absl::StrCat("[", absl::StrJoin(parts, ", "), "]");
    }
    case v1::ConfigValue::VALUE_NOT_SET:
      break;
  }
  return "null";
}

std::string SecretText(const Message& message, const FlowOptions& options) {
  if (options.redact) return QuotedText(kRedacted);
  v1::Secret scratch;
  const v1::Secret& secret = schema::Read(message, scratch);
  return secret.has_sealed() ? absl::StrCat("!sealed ", QuotedText(secret.sealed()))
                             : ScalarText(secret.plain());
}

std::string One(const Message& m, const FieldInfo& field, int index, const FlowOptions& options) {
  const Reflection& r = *m.GetReflection();
  const FieldDescriptor* fd = field.field;
  const bool element = index >= 0;
  switch (field.kind) {
    case FieldKind::kString:
      return ScalarText(element ? r.GetRepeatedString(m, fd, index) : r.GetString(m, fd));
    case FieldKind::kBool:
      return (element ? r.GetRepeatedBool(m, fd, index) : r.GetBool(m, fd)) ? "true" : "false";
    case FieldKind::kEnum: {
      const auto* value = element ? r.GetRepeatedEnum(m, fd, index) : r.GetEnum(m, fd);
      return value->number() == 0 ? "null" : schema::EnumName(*value);
    }
    case FieldKind::kInt:
      switch (fd->cpp_type()) {
        case FieldDescriptor::CPPTYPE_INT32:
          return absl::StrCat(element ? r.GetRepeatedInt32(m, fd, index) : r.GetInt32(m, fd));
        case FieldDescriptor::CPPTYPE_UINT32:
          return absl::StrCat(element ? r.GetRepeatedUInt32(m, fd, index) : r.GetUInt32(m, fd));
        case FieldDescriptor::CPPTYPE_UINT64:
          return absl::StrCat(element ? r.GetRepeatedUInt64(m, fd, index) : r.GetUInt64(m, fd));
        default:
          return absl::StrCat(element ? r.GetRepeatedInt64(m, fd, index) : r.GetInt64(m, fd));
      }
    case FieldKind::kSecret:
      return SecretText(element ? r.GetRepeatedMessage(m, fd, index) : r.GetMessage(m, fd),
                        options);
    case FieldKind::kConfigValue: {
      v1::ConfigValue scratch;
      return ConfigText(schema::Read(
          element ? r.GetRepeatedMessage(m, fd, index) : r.GetMessage(m, fd), scratch));
    }
    case FieldKind::kMessage:
      return FlowText(element ? r.GetRepeatedMessage(m, fd, index) : r.GetMessage(m, fd), options);
    case FieldKind::kMap:
    case FieldKind::kUnsupported:
      break;
  }
  return "null";
}

std::string MapText(const Message& m, const FieldInfo& field) {
  std::map<std::string, std::string> entries;
  const Reflection& r = *m.GetReflection();
  const auto* type = field.field->message_type();
  for (int i = 0; i < r.FieldSize(m, field.field); ++i) {
    const Message& entry = r.GetRepeatedMessage(m, field.field, i);
    const Reflection& er = *entry.GetReflection();
    const std::string key = er.GetString(entry, type->map_key());
    entries[key] = FlowEntryValue(entry, field);
  }
  std::vector<std::string> parts;
  for (const auto& [key, value] : entries)
    parts.push_back(absl::StrCat(ScalarText(key), ": ", value));
  return absl::StrCat("{", absl::StrJoin(parts, ", "), "}");
}

}  // namespace

std::string QuotedText(absl::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
          absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string ScalarText(absl::string_view text) {
  return PlainIsSafe(text) ? std::string(text) : QuotedText(text);
}

std::string FlowEntryValue(const Message& entry, const FieldInfo& field) {
  const Reflection& r = *entry.GetReflection();
  const auto* value = field.field->message_type()->map_value();
  if (field.value_kind != FieldKind::kConfigValue) return ScalarText(r.GetString(entry, value));
  v1::ConfigValue scratch;
  return ConfigText(schema::Read(r.GetMessage(entry, value), scratch));
}

std::string FlowText(const Message& message, const FieldInfo& field, int index,
                     const FlowOptions& options) {
  const Reflection& r = *message.GetReflection();
  if (index >= 0) return One(message, field, index, options);
  if (field.kind == FieldKind::kMap) return MapText(message, field);
  if (field.repeated) {
    std::vector<std::string> parts;
    for (int i = 0; i < r.FieldSize(message, field.field); ++i)
      parts.push_back(One(message, field, i, options));
    return absl::StrCat("[", absl::StrJoin(parts, ", "), "]");
  }
  return r.HasField(message, field.field) ? One(message, field, -1, options) : "";
}

std::string FlowText(const Message& message, const FlowOptions& options) {
  const schema::MessageInfo& info = schema::Describe(message.GetDescriptor());
  const Reflection& r = *message.GetReflection();
  std::vector<std::string> parts;
  for (const FieldInfo& field : info.fields) {
    const bool many = field.repeated || field.kind == FieldKind::kMap;
    if (many ? r.FieldSize(message, field.field) == 0 : !r.HasField(message, field.field)) continue;
    parts.push_back(absl::StrCat(field.name, ": ", FlowText(message, field, -1, options)));
  }
  return absl::StrCat("{", absl::StrJoin(parts, ", "), "}");
}

}  // namespace basalt::yaml
