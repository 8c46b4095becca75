// The JSON Schema beside configs, which an editor finds by the first line of a file. Not
// thread-safe: it looks at files.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace basalt::client {

// What `nodectl schema -o` is called in the examples, and what `gen config` looks for.
inline constexpr absl::string_view kSchemaFile = "basalt.schema.json";

// "# yaml-language-server: $schema=..." and a line end, for a config that will be `config_file`
// (empty or "-": in the working directory). `schema` is a path as the user means it, or a URL; the
// line names it as seen from the config. With no `schema`: the one beside the config, and "" when
// none is there.
std::string EditorLine(const std::string& schema, const std::string& config_file);

// True for a URL, and for a path where a file is.
bool SchemaIsThere(const std::string& schema);

}  // namespace basalt::client
