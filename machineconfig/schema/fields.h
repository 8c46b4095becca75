// What the descriptors and their annotations say about a message, as tables that are built once per
// message type: the one place that reads api/basalt/v1/options.proto. Everything else (reading,
// writing, checking, comparing) walks these tables. Thread-safe; the tables live for ever.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/options.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace basalt::schema {

struct MessageInfo;

enum class FieldKind {
  kString,
  kBool,
  kInt,  // any integer type; see `min_int` and `max_int`
  kEnum,
  kSecret,       // basalt.v1.Secret: a scalar in YAML
  kConfigValue,  // basalt.v1.ConfigValue: bool, integer, text or a list of scalars
  kMessage,
  kMap,          // proto map with string keys; values are strings or ConfigValues
  kUnsupported,  // floats, bytes: not spellable in a document
};

struct FieldInfo {
  const google::protobuf::FieldDescriptor* field = nullptr;
  int index = 0;                                   // in MessageInfo::fields
  std::string name;                                // the YAML key: json_name
  FieldKind kind = FieldKind::kUnsupported;        // of the element, when repeated
  FieldKind value_kind = FieldKind::kUnsupported;  // of a map: of its values
  bool repeated = false;                           // a list; false for maps
  v1::FieldRules rules;
  const MessageInfo* message = nullptr;  // of kMessage
  const FieldInfo* key = nullptr;        // of LIST_MAP: the identifying field of `message`
  std::vector<std::string> enum_names;   // spellable values, in order of declaration
};

struct MessageInfo {
  const google::protobuf::Descriptor* descriptor = nullptr;
  std::vector<FieldInfo> fields;  // in order of declaration
  absl::flat_hash_map<std::string, const FieldInfo*> by_name;

  const FieldInfo* Find(absl::string_view name) const {
    auto it = by_name.find(name);
    return it == by_name.end() ? nullptr : it->second;
  }
};

// Kept for ever, by the address of the descriptor: whose pool must live as long as the process.
const MessageInfo& Describe(const google::protobuf::Descriptor* descriptor);

// An empty message: of the compiled-in type, or a dynamic one when the descriptor is of another
// pool (the schema of a node).
std::unique_ptr<google::protobuf::Message> NewMessage(
    const google::protobuf::Descriptor& descriptor);

// `APPLY_MODE_COMMIT` ↔ "commit": lower-kebab without the prefix of the type. Value 0 has none.
std::string EnumName(const google::protobuf::EnumValueDescriptor& value);
const google::protobuf::EnumValueDescriptor* FindEnum(const google::protobuf::EnumDescriptor& type,
                                                      absl::string_view name);

// Paths as in yaml::SourceMap. A key that is empty, longer than 128 bytes, or not the first of its
// value in the list, is replaced by the index, so that every element has a path of its own. `]` and
// `\` in a key stand behind a `\`: grants compare paths, and a key must not read as the end of
// itself and a field behind it.
inline constexpr size_t kMaxPathKey = 128;
std::string Child(absl::string_view path, absl::string_view name);
std::string Element(absl::string_view path, absl::string_view key);
std::string Element(absl::string_view path, int index);
// Of element `index` of the list `field` of `message`.
std::string ElementPath(absl::string_view path, const google::protobuf::Message& message,
                        const FieldInfo& field, int index);

// Insertions, deletions, replacements and swaps of neighbours between the two; case is ignored.
size_t EditDistance(absl::string_view a, absl::string_view b);
// The best of `names` for a misspelt `word` by edit distance, or for a word that other tools use
// (x86_64, master, worker); empty when none is near.
std::string Nearest(absl::string_view word, const std::vector<absl::string_view>& names);

// The one path below `root` whose last name is `name`; empty when there is none or several.
std::string UniquePathOf(const MessageInfo& root, absl::string_view name);

}  // namespace basalt::schema
