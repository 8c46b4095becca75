// Messages as YAML. Deterministic: fields in declaration order, map entries sorted by key, strings
// that could read as another type in double quotes, multi-line strings as literal blocks. What is
// emitted decodes to an equal message. Pure, thread-safe.
#pragma once

#include <string>

#include "google/protobuf/message.h"
#include "machineconfig/schema/fields.h"

namespace basalt::yaml {

struct EmitOptions {
  bool redact = false;  // secrets become "(redacted)"; the result is for eyes only
};

std::string Emit(const google::protobuf::Message& message, const EmitOptions& options = {});

// False for what `Emit` leaves out: empty lists, a Secret that holds nothing, an enum of 0.
bool IsPresent(const google::protobuf::Message& message, const schema::FieldInfo& field);

// The parts, for a file that is edited and not written anew; at the left margin, secrets as they
// are. A field that is present: "name: value". Element `index` of a list: "- value". An entry of a
// proto map: "key: value".
std::string EmitField(const google::protobuf::Message& message, const schema::FieldInfo& field);
std::string EmitElement(const google::protobuf::Message& message, const schema::FieldInfo& field,
                        int index);
std::string EmitEntry(const google::protobuf::Message& entry, const schema::FieldInfo& field);

}  // namespace basalt::yaml
