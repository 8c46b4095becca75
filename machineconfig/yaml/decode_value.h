// One value for one field: how shipped defaults, `--set path=value` and the values of a patch are
// read, by the same rules as a whole document. Pure, thread-safe.
#pragma once

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/tree.h"

namespace basalt::yaml {

// Reads `text` as the value of `field` of `message` and sets it, replacing what was there. `path`
// is the path of the field, for the errors.
DecodeResult DecodeValue(absl::string_view text, absl::string_view path,
                         const schema::FieldInfo& field, google::protobuf::Message& message);

// The same for one entry of a proto map field.
DecodeResult DecodeMapEntry(absl::string_view text, absl::string_view path,
                            const schema::FieldInfo& field, absl::string_view key,
                            google::protobuf::Message& message);

// The same from a node of a tree that was read already. Errors and positions are added to `result`
// and carry `file`. A list adds its elements to those that are there; a null changes nothing.
void DecodeNode(const Tree& tree, const Node& node, absl::string_view file, absl::string_view path,
                const schema::FieldInfo& field, google::protobuf::Message& message,
                DecodeResult& result);
void DecodeEntryNode(const Tree& tree, const Node& node, absl::string_view file,
                     absl::string_view path, const schema::FieldInfo& field, absl::string_view key,
                     google::protobuf::Message& message, DecodeResult& result);

}  // namespace basalt::yaml
