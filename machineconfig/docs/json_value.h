// YAML texts of the annotations (defaults, examples) as JSON values; private to this directory.
#pragma once

#include <string>

#include "machineconfig/schema/fields.h"
#include "nlohmann/json_fwd.hpp"

namespace basalt::docs {

// The value that `text` gives `field` of a message of the type that declares it. Null (the JSON
// value) when it cannot be read: a defect of the schema that a test finds.
nlohmann::ordered_json JsonValueOf(const schema::FieldInfo& field, const std::string& text);

}  // namespace basalt::docs
