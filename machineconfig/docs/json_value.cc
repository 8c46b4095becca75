#include "machineconfig/docs/json_value.h"

#include <memory>

#include "basalt/v1/machine_config.pb.h"
#include "google/protobuf/message.h"
#include "machineconfig/schema/opaque.h"
#include "machineconfig/yaml/decode_value.h"
#include "nlohmann/json.hpp"

namespace basalt::docs {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using nlohmann::ordered_json;
using schema::FieldInfo;
using schema::FieldKind;

ordered_json OfConfigValue(const v1::ConfigValue& value) {
  if (value.has_boolean()) return value.boolean();
  if (value.has_integer()) return value.integer();
  if (value.has_text()) return value.text();
  ordered_json list = ordered_json::array();
  for (const std::string& element : value.list().values()) list.push_back(element);
  return list;
}

ordered_json OfMessage(const Message& m, const schema::MessageInfo& info);

// Of one value, or of element `index` of a list.
ordered_json One(const Message& m, const FieldInfo& field, int index) {
  const Reflection& r = *m.GetReflection();
  const FieldDescriptor* fd = field.field;
  const bool element = index >= 0;
  switch (field.kind) {
    case FieldKind::kString:
      return element ? r.GetRepeatedString(m, fd, index) : r.GetString(m, fd);
    case FieldKind::kBool:
      return element ? r.GetRepeatedBool(m, fd, index) : r.GetBool(m, fd);
    case FieldKind::kEnum:
      return schema::EnumName(*(element ? r.GetRepeatedEnum(m, fd, index) : r.GetEnum(m, fd)));
    case FieldKind::kInt:
      switch (fd->cpp_type()) {
        case FieldDescriptor::CPPTYPE_INT32:
          return element ? r.GetRepeatedInt32(m, fd, index) : r.GetInt32(m, fd);
        case FieldDescriptor::CPPTYPE_UINT32:
          return element ? r.GetRepeatedUInt32(m, fd, index) : r.GetUInt32(m, fd);
        case FieldDescriptor::CPPTYPE_UINT64:
          return element ? r.GetRepeatedUInt64(m, fd, index) : r.GetUInt64(m, fd);
        default:
          return element ? r.GetRepeatedInt64(m, fd, index) : r.GetInt64(m, fd);
      }
    case FieldKind::kMessage:
      return OfMessage(element ? r.GetRepeatedMessage(m, fd, index) : r.GetMessage(m, fd),
                       *field.message);
    case FieldKind::kSecret: {
      v1::Secret scratch;
      return schema::Read(element ? r.GetRepeatedMessage(m, fd, index) : r.GetMessage(m, fd),
                          scratch)
          .plain();
    }
    default:
      return nullptr;
  }
}

ordered_json OfMap(const Message& m, const FieldInfo& field) {
  ordered_json out = ordered_json::object();
  const Reflection& r = *m.GetReflection();
  const auto* type = field.field->message_type();
  for (int i = 0; i < r.FieldSize(m, field.field); ++i) {
    const Message& entry = r.GetRepeatedMessage(m, field.field, i);
    const Reflection& er = *entry.GetReflection();
    const std::string key = er.GetString(entry, type->map_key());
    if (field.value_kind == FieldKind::kConfigValue) {
      v1::ConfigValue scratch;
      out[key] = OfConfigValue(schema::Read(er.GetMessage(entry, type->map_value()), scratch));
    } else {
      out[key] = er.GetString(entry, type->map_value());
    }
  }
  return out;
}

ordered_json Value(const Message& m, const FieldInfo& field) {
  if (field.kind == FieldKind::kMap) return OfMap(m, field);
  if (!field.repeated) return One(m, field, -1);
  ordered_json list = ordered_json::array();
  for (int i = 0; i < m.GetReflection()->FieldSize(m, field.field); ++i) {
    list.push_back(One(m, field, i));
  }
  return list;
}

ordered_json OfMessage(const Message& m, const schema::MessageInfo& info) {
  ordered_json out = ordered_json::object();
  const Reflection& r = *m.GetReflection();
  for (const FieldInfo& field : info.fields) {
    const bool many = field.repeated || field.kind == FieldKind::kMap;
    if (many ? r.FieldSize(m, field.field) > 0 : r.HasField(m, field.field)) {
      out[field.name] = Value(m, field);
    }
  }
  return out;
}

}  // namespace

ordered_json JsonValueOf(const FieldInfo& field, const std::string& text) {
  const std::unique_ptr<Message> message = schema::NewMessage(*field.field->containing_type());
  if (!yaml::DecodeValue(text, field.name, field, *message).ok()) return nullptr;
  return Value(*message, field);
}

}  // namespace basalt::docs
