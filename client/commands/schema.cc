// nodectl schema: the documents as JSON Schema, for editors.
#include "client/commands/schema.h"

#include <filesystem>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/config_schema.h"
#include "client/context/files.h"
#include "machineconfig/docs/field_doc.h"
#include "machineconfig/docs/json_schema.h"

namespace basalt::client {
namespace {

namespace fs = std::filesystem;

bool IsUrl(const std::string& schema) { return absl::StrContains(schema, "://"); }

fs::path DirectoryOfConfig(const std::string& file) {
  std::error_code ignored;
  if (file.empty() || file == "-") return fs::current_path(ignored);
  return fs::absolute(file, ignored).parent_path();
}

// A schema may be written anew after an upgrade; nothing else is overwritten.
absl::Status WriteSchema(const std::string& path, const std::string& text) {
  if (!Exists(path)) return WriteNewFile(path, text, 0644);
  absl::StatusOr<std::string> old = ReadFile(path);
  if (!old.ok()) return old.status();
  if (!absl::StrContains(old->substr(0, 1024), docs::kSchemaMark)) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kAlreadyExists, "file-exists",
                   absl::StrCat(path, " exists and is no schema; nothing was changed"),
                   absl::StrCat("-o ", kSchemaFile)),
        "file", path);
  }
  return EditFileAtomically(path, text);
}

}  // namespace

bool SchemaIsThere(const std::string& schema) { return IsUrl(schema) || Exists(schema); }

std::string EditorLine(const std::string& schema, const std::string& config_file) {
  const fs::path directory = DirectoryOfConfig(config_file);
  std::string seen = schema;
  if (schema.empty()) {
    if (!Exists((directory / std::string(kSchemaFile)).string())) return "";
    seen = absl::StrCat("./", kSchemaFile);
  } else if (!IsUrl(schema) && !absl::StartsWith(schema, "/")) {
    std::error_code ignored;
    seen = fs::absolute(schema, ignored).lexically_normal().lexically_relative(directory).string();
    if (!absl::StartsWith(seen, ".")) seen = absl::StrCat("./", seen);
  }
  return absl::StrCat("# yaml-language-server: $schema=", seen, "\n");
}

absl::StatusOr<int> RunSchema(Session& session, const SchemaOptions& options) {
  absl::StatusOr<ConfigSchema> schema = ConfigSchema::Of(session, options.node);
  if (!schema.ok()) return schema.status();
  const auto* kind = schema->source().FindKind(options.kind);
  if (kind == nullptr) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "unknown-kind",
                      absl::StrCat("no document is of kind `", options.kind, "`"),
                      absl::StrCat("one of ", absl::StrJoin(schema->source().kinds, ", ",
                                                            [](std::string* out, const auto* k) {
                                                              absl::StrAppend(out, k->name());
                                                            })));
  }
  Io& io = session.io();
  const std::string text = docs::JsonSchema(*kind);
  if (options.output_file.empty() || options.output_file == "-") {
    io.out << text;
    return 0;
  }
  if (absl::Status s = WriteSchema(options.output_file, text); !s.ok()) return s;
  io.err << options.output_file << ": the schema of a " << kind->name()
         << "; an editor with yaml-language-server takes it by the first line of a config:\n"
         << "# yaml-language-server: $schema=" << options.output_file << "\n";
  return 0;
}

}  // namespace basalt::client
