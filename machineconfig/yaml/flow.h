// Single values as YAML flow text: what diffs and plans show. Pure, thread-safe.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "machineconfig/schema/fields.h"

namespace basalt::yaml {

inline constexpr absl::string_view kRedacted = "(redacted)";

// A scalar as it stands in a flow or block collection: plain where that reads back as the same
// text, else in double quotes.
std::string ScalarText(absl::string_view text);
// Always in double quotes.
std::string QuotedText(absl::string_view text);

struct FlowOptions {
  bool redact = true;  // false: for a file of the owner, never for eyes
};

// The value of a field (of element `index` when it is not negative): `server`, `[a, b]`,
// `{site: lab}`. Secrets are "(redacted)" unless
// the options say otherwise. Empty when the field is absent.
std::string FlowText(const google::protobuf::Message& message, const schema::FieldInfo& field,
                     int index = -1, const FlowOptions& options = {});
// The value of one entry of a proto map, without its key.
std::string FlowEntryValue(const google::protobuf::Message& entry, const schema::FieldInfo& field);
// A whole message as a flow map.
std::string FlowText(const google::protobuf::Message& message, const FlowOptions& options = {});

}  // namespace basalt::yaml
