#include <re2/re2.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "machineconfig/format/format.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/opaque.h"
#include "machineconfig/validate/rules.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::validate {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using schema::FieldInfo;
using schema::FieldKind;

// Compiled once per field; the tables live for ever.
const RE2& PatternOf(const FieldInfo& field) {
  struct Cache {
    absl::Mutex mutex;
    absl::flat_hash_map<const FieldInfo*, std::unique_ptr<RE2>> built;
  };
  static Cache* const cache = new Cache;
  absl::MutexLock lock(&cache->mutex);
  std::unique_ptr<RE2>& slot = cache->built[&field];
  if (slot == nullptr) slot = std::make_unique<RE2>(field.rules.pattern(), RE2::Quiet);
  return *slot;
}

class Checker {
 public:
  Checker(Stage stage, Report& report) : stage_(stage), report_(report) {}

  void CheckMessage(const Message& message, const std::string& path) {
    const Reflection& r = *message.GetReflection();
    for (const FieldInfo& field : schema::Describe(message.GetDescriptor()).fields) {
      const bool many = field.repeated || field.kind == FieldKind::kMap;
      const bool present = many ? r.FieldSize(message, field.field) > 0 : Has(message, field);
      if (!present && !field.rules.required() && field.rules.deprecated().empty()) continue;
      const std::string here = schema::Child(path, field.name);
      if (!present) {
        Missing(field, here);
        continue;
      }
      if (!field.rules.deprecated().empty()) {
        report_.Warning(here, "deprecated", "the field is deprecated", field.rules.deprecated());
      }
      if (many) CheckSize(r.FieldSize(message, field.field), field, here);
      if (field.kind == FieldKind::kMap) {
        CheckMap(message, field, here);
      } else if (field.repeated) {
        CheckList(message, field, here);
      } else {
        CheckValue(message, field, -1, here);
      }
    }
  }

 private:
  static bool Has(const Message& message, const FieldInfo& field) {
    const Reflection& r = *message.GetReflection();
    if (!r.HasField(message, field.field)) return false;
    if (field.kind != FieldKind::kSecret) return true;
    v1::Secret scratch;
    return schema::Read(r.GetMessage(message, field.field), scratch).value_case() !=
           v1::Secret::VALUE_NOT_SET;
  }

  void Missing(const FieldInfo& field, const std::string& path) {
    if (!field.rules.required()) return;
    if (stage_ == Stage::kSource && field.rules.filled_in()) return;
    std::string hint;
    if (field.rules.filled_in()) {
      hint = "nodectl fills it in when it signs";
    } else if (!field.rules.remedy().empty()) {
      hint = field.rules.remedy();
    } else if (!field.rules.example().empty()) {
      hint = absl::StrCat("for example `", field.name, ": ", field.rules.example(), "`");
    } else if (!field.enum_names.empty()) {
      hint = absl::StrCat("one of ", absl::StrJoin(field.enum_names, ", "));
    } else if (field.rules.one_of_size() > 0) {
      hint = field.rules.one_of_size() == 1
                 ? absl::StrCat("write `", field.name, ": ", field.rules.one_of(0), "`")
                 : absl::StrCat("one of ", absl::StrJoin(field.rules.one_of(), ", "));
    }
    report_.Error(path, "required", "the field is required", hint);
  }

  std::string Bounds(const FieldInfo& field) const {
    const auto& rules = field.rules;
    if (rules.has_min() && rules.has_max()) {
      return absl::StrCat("from ", rules.min(), " to ", rules.max());
    }
    return rules.has_min() ? absl::StrCat("at least ", rules.min())
                           : absl::StrCat("at most ", rules.max());
  }
  static bool Outside(int64_t value, const FieldInfo& field) {
    return (field.rules.has_min() && value < field.rules.min()) ||
           (field.rules.has_max() && value > field.rules.max());
  }

  void CheckSize(int size, const FieldInfo& field, const std::string& path) {
    if (!Outside(size, field)) return;
    report_.Error(path, "out-of-range",
                  absl::StrCat("has ", size, " elements; allowed: ", Bounds(field)));
  }

  void CheckText(const std::string& text, const FieldInfo& field, const std::string& path) {
    if (!field.repeated && Outside(static_cast<int64_t>(text.size()), field)) {
      report_.Error(path, "out-of-range",
                    absl::StrCat("has ", text.size(), " bytes; allowed: ", Bounds(field)));
      return;
    }
    if (field.rules.one_of_size() > 0) {
      std::vector<absl::string_view> names(field.rules.one_of().begin(),
                                           field.rules.one_of().end());
      if (std::find(names.begin(), names.end(), text) == names.end()) {
        const std::string near = schema::Nearest(text, names);
        report_.Error(path, "not-allowed",
                      absl::StrCat(yaml::QuotedText(text.substr(0, 64)), " is not ",
                                   names.size() == 1 ? "" : "one of ", absl::StrJoin(names, ", ")),
                      near.empty() ? "" : absl::StrCat("did you mean `", near, "`?"));
      }
      return;
    }
    const absl::Status format = format::Check(field.rules.format(), text);
    if (!format.ok()) {
      report_.Error(path, "bad-format", format.message());
      return;
    }
    if (!field.rules.pattern().empty() && !RE2::FullMatch(text, PatternOf(field))) {
      report_.Error(path, "bad-format", absl::StrCat("not ", field.rules.means()),
                    absl::StrCat("for example ", field.rules.example()));
    }
  }

  void CheckInt(int64_t value, const FieldInfo& field, const std::string& path) {
    if (field.repeated || !Outside(value, field)) return;
    report_.Error(path, "out-of-range",
                  absl::StrCat(value, " is out of range; allowed: ", Bounds(field)));
  }

  void CheckValue(const Message& message, const FieldInfo& field, int index,
                  const std::string& path) {
    const Reflection& r = *message.GetReflection();
    const FieldDescriptor* fd = field.field;
    const bool element = index >= 0;
    switch (field.kind) {
      case FieldKind::kString:
        return CheckText(
            element ? r.GetRepeatedString(message, fd, index) : r.GetString(message, fd), field,
            path);
      case FieldKind::kInt:
        if (fd->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
          CheckInt(element ? r.GetRepeatedInt64(message, fd, index) : r.GetInt64(message, fd),
                   field, path);
        }
        return;
      case FieldKind::kEnum:
        if ((element ? r.GetRepeatedEnumValue(message, fd, index) : r.GetEnumValue(message, fd)) ==
            0) {
          report_.Error(path, "not-allowed",
                        absl::StrCat("must be one of ", absl::StrJoin(field.enum_names, ", ")));
        }
        return;
      case FieldKind::kSecret: {
        v1::Secret scratch;
        const v1::Secret& secret = schema::Read(
            element ? r.GetRepeatedMessage(message, fd, index) : r.GetMessage(message, fd),
            scratch);
        if (secret.has_plain() && secret.plain().empty()) {
          report_.Error(path, "empty-secret", "the secret is empty");
        } else if (secret.plain() == yaml::kRedacted) {
          report_.Error(path, "redacted-secret",
                        "is what redacted output shows in place of the secret",
                        "write the secret itself");
        } else if (secret.has_plain()) {
          CheckText(secret.plain(), field, path);
        }
        return;
      }
      case FieldKind::kMessage:
        return CheckMessage(
            element ? r.GetRepeatedMessage(message, fd, index) : r.GetMessage(message, fd), path);
      default:
        return;
    }
  }

  void CheckList(const Message& message, const FieldInfo& field, const std::string& path) {
    const Reflection& r = *message.GetReflection();
    const bool set = field.rules.list() == v1::LIST_SET;
    absl::flat_hash_map<std::string, std::string> seen;  // value or key → first path
    for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
      // Same rule as schema::ElementPath, without its search.
      std::string key;
      if (field.key != nullptr) {
        const Message& element = r.GetRepeatedMessage(message, field.field, i);
        key = element.GetReflection()->GetString(element, field.key->field);
      } else if (set) {
        key = yaml::FlowText(message, field, i);
      }
      std::string here = schema::Element(path, i);
      if (!key.empty()) {
        const bool named = field.key != nullptr && key.size() <= schema::kMaxPathKey;
        auto [it, fresh] = seen.try_emplace(key, named ? schema::Element(path, key) : here);
        if (fresh) {
          here = it->second;
        } else {
          report_.Error(
              here, "duplicate-element",
              field.key != nullptr
                  ? absl::StrCat("a second element with the ", field.key->name, " ",
                                 yaml::QuotedText(key.substr(0, 64)), "; the first is ", it->second)
                  : absl::StrCat("the value stands twice; first at ", it->second),
              "remove one of the two");
        }
      }
      CheckValue(message, field, i, here);
    }
  }

  void CheckMap(const Message& message, const FieldInfo& field, const std::string& path) {
    const Reflection& r = *message.GetReflection();
    const auto* type = field.field->message_type();
    for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
      const Message& entry = r.GetRepeatedMessage(message, field.field, i);
      const Reflection& er = *entry.GetReflection();
      const std::string key = er.GetString(entry, type->map_key());
      const std::string here = schema::Element(path, key);
      const absl::Status name = format::Check(field.rules.key_format(), key);
      if (!name.ok()) report_.Error(here, "bad-format", name.message());
      if (field.value_kind != FieldKind::kString) continue;
      const absl::Status value =
          format::Check(field.rules.format(), er.GetString(entry, type->map_value()));
      if (!value.ok()) report_.Error(here, "bad-format", value.message());
    }
  }

  const Stage stage_;
  Report& report_;
};

}  // namespace

void CheckAnnotations(const Message& message, Stage stage, Report& report) {
  Checker(stage, report).CheckMessage(message, "");
}

}  // namespace basalt::validate
