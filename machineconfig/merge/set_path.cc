#include "machineconfig/merge/set_path.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/decode_value.h"

namespace basalt::merge {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;
using schema::FieldInfo;
using schema::FieldKind;
using schema::MessageInfo;

absl::Status Bad(absl::string_view reason, absl::string_view path, absl::string_view message,
                 absl::string_view hint = "") {
  return api::Coded(absl::StatusCode::kInvalidArgument, reason,
                    absl::StrCat("--set ", path, ": ", message), hint);
}

class Setter {
 public:
  Setter(absl::string_view path, absl::string_view value) : whole_(path), value_(value) {}

  absl::Status Set(absl::string_view rest, Message& message) {
    const MessageInfo& info = schema::Describe(message.GetDescriptor());
    const size_t end = rest.find_first_of(".[");
    const absl::string_view name = rest.substr(0, end);
    const FieldInfo* field = info.Find(name);
    if (field == nullptr) return Unknown(name, info);
    rest = end == absl::string_view::npos ? "" : rest.substr(end);
    if (field->kind == FieldKind::kMap && !rest.empty()) return SetEntry(rest, *field, message);
    if (field->repeated && !rest.empty()) return SetElement(rest, *field, message);
    if (rest.empty()) return SetField(*field, message);
    if (field->kind != FieldKind::kMessage || rest[0] != '.') {
      return Bad("unknown-field", whole_, absl::StrCat("`", name, "` has no fields"));
    }
    if (value_.empty() && !message.GetReflection()->HasField(message, field->field)) {
      // Clearing below an absent section makes none; the names are checked all the same.
      const std::unique_ptr<Message> scratch(
          message.GetReflection()->GetMessage(message, field->field).New());
      return Set(rest.substr(1), *scratch);
    }
    return Set(rest.substr(1), Child(*field, message));
  }

 private:
  absl::Status Unknown(absl::string_view name, const MessageInfo& info) const {
    std::vector<absl::string_view> names;
    for (const FieldInfo& field : info.fields) names.push_back(field.name);
    const std::string near = schema::Nearest(name, names);
    return Bad("unknown-field", whole_, absl::StrCat("unknown field `", name, "`"),
               near.empty() ? absl::StrCat("known here: ", absl::StrJoin(names, ", "))
                            : absl::StrCat("did you mean `", near, "`?"));
  }

  static Message& Child(const FieldInfo& field, Message& message) {
    return *message.GetReflection()->MutableMessage(&message, field.field);
  }

  absl::Status SetField(const FieldInfo& field, Message& message) const {
    if (value_.empty()) {
      message.GetReflection()->ClearField(&message, field.field);
      return absl::OkStatus();
    }
    return Check(yaml::DecodeValue(value_, whole_, field, message));
  }

  absl::Status Check(const yaml::DecodeResult& result) const {
    if (result.ok()) return absl::OkStatus();
    // Positions count within the value: of no use on a command line.
    std::vector<api::Violation> errors = result.errors;
    for (api::Violation& error : errors) {
      error.line = error.column = 0;
      if (error.path.empty()) error.path = std::string(whole_);
    }
    return api::Invalid(errors);
  }

  // "[key]..." gives the key and what follows; false when the bracket is not closed.
  static bool TakeBracket(absl::string_view& rest, std::string& key) {
    if (rest.empty() || rest[0] != '[') return false;
    const size_t end = rest.find(']');
    if (end == absl::string_view::npos) return false;
    key = std::string(rest.substr(1, end - 1));
    rest = rest.substr(end + 1);
    return !key.empty();
  }

  // metadata.labels[site] or metadata.labels.site; keys may hold dots.
  absl::Status SetEntry(absl::string_view rest, const FieldInfo& field, Message& message) const {
    std::string key;
    if (rest[0] == '.') {
      key = std::string(rest.substr(1));
    } else if (!TakeBracket(rest, key) || !rest.empty()) {
      return Bad("bad-path", whole_, "write NAME[KEY]=VALUE for an entry of a map");
    }
    if (key.empty()) return Bad("bad-path", whole_, "the key of the entry is missing");
    const Reflection& r = *message.GetReflection();
    const auto* key_field = field.field->message_type()->map_key();
    for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
      const Message& entry = r.GetRepeatedMessage(message, field.field, i);
      if (entry.GetReflection()->GetString(entry, key_field) != key) continue;
      r.SwapElements(&message, field.field, i, r.FieldSize(message, field.field) - 1);
      r.RemoveLast(&message, field.field);
      break;
    }
    if (value_.empty()) return absl::OkStatus();
    return Check(yaml::DecodeMapEntry(value_, whole_, field, key, message));
  }

  // api.clientCas[admin].roles: the element is made when there is none of that name.
  absl::Status SetElement(absl::string_view rest, const FieldInfo& field, Message& message) {
    std::string key;
    if (!TakeBracket(rest, key)) {
      return Bad("bad-path", whole_,
                 field.key != nullptr
                     ? absl::StrCat("write ", field.name, "[NAME].FIELD=VALUE")
                     : absl::StrCat("set the whole list: ", field.name, "=[a, b]"));
    }
    if (field.key == nullptr) {
      return Bad("bad-path", whole_, "elements of this list have no name",
                 absl::StrCat("set the whole list: ", field.name, "=[a, b]"));
    }
    const Reflection& r = *message.GetReflection();
    Message* element = nullptr;
    int index = 0;
    for (int i = 0; i < r.FieldSize(message, field.field) && element == nullptr; ++i) {
      Message* candidate = r.MutableRepeatedMessage(&message, field.field, i);
      if (candidate->GetReflection()->GetString(*candidate, field.key->field) == key) {
        element = candidate;
        index = i;
      }
    }
    if (rest.empty()) {
      if (!value_.empty()) return Bad("bad-path", whole_, "name a field of the element");
      if (element == nullptr) return absl::OkStatus();
      for (int i = index; i + 1 < r.FieldSize(message, field.field); ++i) {
        r.SwapElements(&message, field.field, i, i + 1);
      }
      r.RemoveLast(&message, field.field);
      return absl::OkStatus();
    }
    if (rest[0] != '.') return Bad("bad-path", whole_, "a dot must follow `]`");
    if (element == nullptr) {
      if (value_.empty()) return absl::OkStatus();
      element = r.AddMessage(&message, field.field);
      element->GetReflection()->SetString(element, field.key->field, key);
    }
    return Set(rest.substr(1), *element);
  }

  absl::string_view whole_;
  absl::string_view value_;
};

}  // namespace

absl::Status SetPath(absl::string_view assignment, Message& message) {
  // A label's key may not hold "=", so the first one ends the path.
  const size_t equals = assignment.find('=');
  const absl::string_view path = absl::StripAsciiWhitespace(assignment.substr(0, equals));
  if (equals == absl::string_view::npos || path.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-path",
                      absl::StrCat("--set ", assignment, ": write PATH=VALUE"),
                      "for example --set k3s.cluster.init=true");
  }
  // "#abc" is a comment to YAML: it would clear the field in silence.
  const absl::string_view value = absl::StripAsciiWhitespace(assignment.substr(equals + 1));
  if (absl::StartsWith(value, "#")) {
    return Bad("bad-value", path, "a value that begins with `#` is a comment", "quote it");
  }
  // On an error the message stays as it was.
  std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  const absl::Status status = Setter(path, value).Set(path, *copy);
  if (status.ok()) message.GetReflection()->Swap(&message, copy.get());
  return status;
}

}  // namespace basalt::merge
