#include "client/commands/flatten.h"

#include <utility>

#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/emit.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::client {
namespace {

using google::protobuf::Message;
using schema::FieldInfo;
using schema::FieldKind;

class Flattening {
 public:
  Flattening(const docs::Source& source, std::map<std::string, Said>& out)
      : source_(source), out_(out) {}

  void Walk(const Message& message, const std::string& path, v1::Effect inherited) {
    const auto& r = *message.GetReflection();
    for (const FieldInfo& field : schema::Describe(message.GetDescriptor()).fields) {
      if (!yaml::IsPresent(message, field)) continue;
      const v1::Effect effect =
          field.rules.effect() == v1::EFFECT_UNSPECIFIED ? inherited : field.rules.effect();
      const std::string here = schema::Child(path, field.name);
      if (field.kind == FieldKind::kMap) {
        Entries(message, field, here, effect);
      } else if (field.kind == FieldKind::kMessage && !field.repeated) {
        Walk(r.GetMessage(message, field.field), here, effect);
      } else if (field.kind == FieldKind::kMessage) {
        for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
          Walk(r.GetRepeatedMessage(message, field.field, i),
               schema::ElementPath(here, message, field, i), effect);
        }
      } else {
        Note(here, yaml::FlowText(message, field, -1, {.redact = false}),
             field.kind == FieldKind::kSecret || field.rules.secret(), effect);
      }
    }
  }

 private:
  void Entries(const Message& message, const FieldInfo& field, const std::string& path,
               v1::Effect effect) {
    const auto& r = *message.GetReflection();
    for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
      const Message& entry = r.GetRepeatedMessage(message, field.field, i);
      const std::string key =
          entry.GetReflection()->GetString(entry, field.field->message_type()->map_key());
      const schema::K3sKey* known =
          field.value_kind == FieldKind::kConfigValue ? source_.FindKey(key) : nullptr;
      Note(schema::Element(path, key), yaml::FlowEntryValue(entry, field),
           field.rules.secret() || (known != nullptr && known->secret), effect);
    }
  }
  void Note(const std::string& path, std::string text, bool secret, v1::Effect effect) {
    std::string shown = secret ? std::string(yaml::kRedacted) : text;
    out_[path] = {.shown = std::move(shown), .meant = std::move(text), .effect = effect};
  }

  const docs::Source& source_;
  std::map<std::string, Said>& out_;
};

}  // namespace

std::map<std::string, Said> Flatten(const Message& message, const docs::Source& source) {
  std::map<std::string, Said> out;
  Flattening(source, out).Walk(message, "", v1::EFFECT_LIVE);
  return out;
}

}  // namespace basalt::client
