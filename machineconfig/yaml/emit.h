// Messages as YAML. Deterministic: fields in declaration order, map entries sorted by key, strings
// that could read as another type in double quotes, multi-line strings as literal blocks. What is
// emitted decodes to an equal message. Pure, thread-safe.
#pragma once

#include <string>

#include "google/protobuf/message.h"

namespace basalt::yaml {

struct EmitOptions {
  bool redact = false;  // secrets become "(redacted)"; the result is for eyes only
};

std::string Emit(const google::protobuf::Message& message, const EmitOptions& options = {});

}  // namespace basalt::yaml
