// One value for one field: how shipped defaults and `--set path=value` are read, by the same rules
// as a whole document. Pure, thread-safe.
#pragma once

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::yaml {

// Reads `text` as the value of `field` of `message` and sets it, replacing what was there. `path`
// is the path of the field, for the errors.
DecodeResult DecodeValue(absl::string_view text, absl::string_view path,
                         const schema::FieldInfo& field, google::protobuf::Message& message);

// The same for one entry of a proto map field.
DecodeResult DecodeMapEntry(absl::string_view text, absl::string_view path,
                            const schema::FieldInfo& field, absl::string_view key,
                            google::protobuf::Message& message);

}  // namespace basalt::yaml
