#include "client/output/messages.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "basalt/v1/options.pb.h"
#include "client/context/flat_yaml.h"
#include "client/output/io.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string Json(const Message& message, bool pretty) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.add_whitespace = pretty;
  std::string out;
  // Fails for texts that are not UTF-8 only, which protobuf has refused on the wire already.
  if (!google::protobuf::util::MessageToJsonString(message, &out, options).ok()) return "{}";
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

void EmitYaml(const nlohmann::ordered_json& value, int indent, std::string& out);

std::string ScalarYaml(const nlohmann::ordered_json& value) {
  return value.is_string() ? EscapeYaml(QuoteYaml(value.get<std::string>())) : value.dump();
}

void EmitMember(const nlohmann::ordered_json& value, int indent, std::string& out) {
  if (value.is_structured() && !value.empty()) {
    out += "\n";
    EmitYaml(value, indent + 2, out);
  } else {
    out += " " + ScalarYaml(value) + "\n";
  }
}

void EmitYaml(const nlohmann::ordered_json& value, int indent, std::string& out) {
  const std::string pad(static_cast<size_t>(indent), ' ');
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) {
      out += pad + EscapeYaml(QuoteYaml(key)) + ":";
      EmitMember(member, indent, out);
    }
    return;
  }
  for (const auto& element : value) {
    if (element.is_object() && !element.empty()) {
      std::string block;
      EmitYaml(element, indent + 2, block);
      block[static_cast<size_t>(indent)] = '-';
      out += block;
    } else {
      out += pad + "-";
      EmitMember(element, indent, out);
    }
  }
}

std::string EnumWord(const google::protobuf::EnumValueDescriptor& value) {
  if (value.number() == 0) return "";
  std::string word = value.name();
  // APPLY_STATE_COMMITTED of ApplyState: the prefix is the type's own name in capitals.
  std::string prefix;
  for (char c : value.type()->name()) {
    if (absl::ascii_isupper(c) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(c);
  }
  prefix += '_';
  if (word.compare(0, prefix.size(), prefix) == 0) word.erase(0, prefix.size());
  for (char& c : word) c = c == '_' ? '-' : absl::ascii_tolower(c);
  return word;
}

std::string Scalar(const Message& m, const FieldDescriptor& f, int index) {
  const google::protobuf::Reflection& r = *m.GetReflection();
  const bool repeated = f.is_repeated();
  switch (f.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return repeated ? r.GetRepeatedString(m, &f, index) : r.GetString(m, &f);
    case FieldDescriptor::CPPTYPE_BOOL:
      return (repeated ? r.GetRepeatedBool(m, &f, index) : r.GetBool(m, &f)) ? "yes" : "no";
    case FieldDescriptor::CPPTYPE_INT32: {
      int32_t value = repeated ? r.GetRepeatedInt32(m, &f, index) : r.GetInt32(m, &f);
      return value == 0 && !repeated ? "-" : absl::StrCat(value);
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t value = repeated ? r.GetRepeatedInt64(m, &f, index) : r.GetInt64(m, &f);
      return value == 0 && !repeated ? "-" : absl::StrCat(value);
    }
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumWord(*(repeated ? r.GetRepeatedEnum(m, &f, index) : r.GetEnum(m, &f)));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (f.message_type()->full_name() == "google.protobuf.Timestamp" && !repeated &&
          r.HasField(m, &f)) {
        return FormatTime(static_cast<const google::protobuf::Timestamp&>(r.GetMessage(m, &f)));
      }
      return "";
    default:
      return "";
  }
}

std::string Cell(const Message& m, const FieldDescriptor& f) {
  if (!f.is_repeated()) {
    std::string text = Scalar(m, f, 0);
    if (f.name() == "digest" && text.size() > 19)
      text = text.substr(0, 19);  // sha256: and 12 digits
    return text.empty() ? "-" : text;
  }
  std::vector<std::string> parts;
  for (int i = 0; i < m.GetReflection()->FieldSize(m, &f); ++i) parts.push_back(Scalar(m, f, i));
  return parts.empty() ? "-" : absl::StrJoin(parts, ",");
}

// A column as long as an error would push the others off the screen; `-o wide` has the whole.
constexpr size_t kLongestCell = 60;

std::string Shortened(std::string text) {
  if (text.size() <= kLongestCell) return text;
  size_t end = kLongestCell - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::vector<const FieldDescriptor*> Columns(const google::protobuf::Descriptor& type, bool wide,
                                            std::vector<std::string>& titles) {
  std::vector<const FieldDescriptor*> out;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* f = type.field(i);
    if (!f->options().HasExtension(v1::column)) continue;
    const v1::Column& column = f->options().GetExtension(v1::column);
    if (column.wide() && !wide) continue;
    titles.push_back(column.title());
    out.push_back(f);
  }
  return out;
}

const Message* Body(const v1::Resource& resource) {
  const auto* oneof = resource.GetDescriptor()->FindOneofByName("body");
  const FieldDescriptor* f = resource.GetReflection()->GetOneofFieldDescriptor(resource, oneof);
  return f == nullptr ? nullptr : &resource.GetReflection()->GetMessage(resource, f);
}

}  // namespace

std::string ToJson(const Message& message) { return Json(message, false); }

std::string ToPrettyJson(const Message& message) { return Json(message, true); }

std::string ToYaml(const Message& message) { return JsonToYaml(Json(message, false)); }

std::string JsonToYaml(const std::string& json) {
  nlohmann::ordered_json tree = nlohmann::ordered_json::parse(json, nullptr, false);
  std::string out;
  if (!tree.is_discarded()) EmitYaml(tree, 0, out);
  return out;
}

std::string StateWord(v1::ApplyState state) {
  const auto* value = v1::ApplyState_descriptor()->FindValueByNumber(state);
  return value == nullptr ? absl::StrCat(static_cast<int>(state)) : EnumWord(*value);
}

std::string EffectWord(v1::Effect effect) {
  const auto* value = v1::Effect_descriptor()->FindValueByNumber(effect);
  std::string word = value == nullptr ? "" : EnumWord(*value);
  return word.empty() ? "none" : word;
}

Table MessageTable(const std::vector<const Message*>& messages, bool wide) {
  Table table;
  if (messages.empty()) return table;
  auto columns = Columns(*messages[0]->GetDescriptor(), wide, table.titles);
  for (const Message* m : messages) {
    table.rows.emplace_back();
    for (const FieldDescriptor* f : columns) {
      table.rows.back().push_back(wide ? Cell(*m, *f) : Shortened(Cell(*m, *f)));
    }
  }
  return table;
}

Table ResourceTable(const std::vector<v1::Resource>& resources, bool wide) {
  std::vector<const Message*> bodies;
  std::vector<std::string> names;
  for (const v1::Resource& resource : resources) {
    if (const Message* body = Body(resource)) {
      bodies.push_back(body);
      names.push_back(resource.name());
    }
  }
  Table table = MessageTable(bodies, wide);
  if (bodies.empty()) return table;
  table.titles.insert(table.titles.begin(), "RESOURCE");
  for (size_t i = 0; i < table.rows.size(); ++i) {
    table.rows[i].insert(table.rows[i].begin(), names[i]);
  }
  return table;
}

std::string FormatTime(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "";
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

}  // namespace basalt::client
