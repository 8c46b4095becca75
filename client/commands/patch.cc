// nodectl patch: a change of sources from outside, their comments and order kept.
#include "machineconfig/merge/patch.h"

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/config_schema.h"
#include "client/commands/editing.h"
#include "client/commands/file_change.h"
#include "client/commands/inputs.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/merge/rewrite.h"
#include "machineconfig/merge/set_path.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::client {
namespace {

absl::Status Usage(absl::string_view message, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "usage", message, hint);
}

struct NamedPatch {
  std::string text;
  std::string name;  // for errors
};

absl::StatusOr<std::vector<NamedPatch>> ReadPatches(const PatchOptions& options) {
  std::vector<NamedPatch> out;
  for (const std::string& file : options.patch_files) {
    absl::StatusOr<std::string> text = ReadFile(file);
    if (!text.ok()) return text.status();
    out.push_back({*std::move(text), file == "-" ? "(standard input)" : file});
  }
  for (const std::string& text : options.patches) out.push_back({text, "--patch"});
  return out;
}

absl::StatusOr<FileChange> PatchOne(const ConfigSchema& schema, const Input& input,
                                    const std::vector<NamedPatch>& patches,
                                    const std::vector<std::string>& set) {
  if (absl::Status s = RefuseSigned(input); !s.ok()) return s;
  const auto message = schema::NewMessage(schema.source().machine_config());
  const yaml::DecodeResult read = yaml::Decode(input.text, input.file, *message);
  if (!read.ok()) return api::Invalid(read.errors);
  for (const NamedPatch& patch : patches) {
    if (absl::Status s = merge::Patch(patch.text, patch.name, *message); !s.ok()) return s;
  }
  for (const std::string& assignment : set) {
    if (absl::Status s = merge::SetPath(assignment, *message); !s.ok()) return s;
  }
  absl::StatusOr<std::string> after = merge::Rewrite(input.text, input.file, *message);
  if (!after.ok()) return after.status();
  return CheckChange(schema, input.file, input.text, *after);
}

}  // namespace

absl::StatusOr<int> RunPatch(Session& session, const PatchOptions& options) {
  Io& io = session.io();
  if (options.patch_files.empty() && options.patches.empty() && options.set.empty()) {
    return Usage("what shall be changed?", "-p FILE, --patch '{...}' or --set PATH=VALUE");
  }
  if (options.in_place && !options.output_file.empty()) {
    return Usage("--in-place and -o together", "leave one of them out");
  }
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs(options.files);
  if (!inputs.ok()) return inputs.status();
  const bool one_output = !options.in_place && !options.dry_run;
  if (one_output && inputs->size() > 1) {
    return Usage("several files and one output", "--in-place, or --dry-run to see what it does");
  }
  absl::StatusOr<std::vector<NamedPatch>> patches = ReadPatches(options);
  if (!patches.ok()) return patches.status();
  absl::StatusOr<ConfigSchema> schema = ConfigSchema::Of(session, options.node);
  if (!schema.ok()) return schema.status();

  // A mistake in the last file is found before the first is written; all mistakes at once.
  std::vector<FileChange> changes;
  std::vector<api::Violation> wrong;
  for (const Input& input : *inputs) {
    if (options.in_place && input.file == "(standard input)") {
      return Usage("--in-place of standard input", "-o FILE, or leave it out");
    }
    absl::StatusOr<FileChange> change = PatchOne(*schema, input, *patches, options.set);
    if (change.ok()) {
      changes.push_back(*std::move(change));
      continue;
    }
    const std::vector<api::Violation> found = api::Violations(change.status());
    if (found.empty()) return change.status();
    // The patch itself is wrong for every file in the same way.
    for (const api::Violation& error : found) {
      bool told = false;
      for (const api::Violation& other : wrong) told = told || other == error;
      if (!told) wrong.push_back(error);
    }
  }
  if (!wrong.empty()) return api::Invalid(wrong);
  for (const FileChange& change : changes) PrintViolations(io, "warning", change.warnings);
  const bool written = options.in_place && !options.dry_run;
  if (written) {
    if (absl::Status s = WriteChanges(changes); !s.ok()) return s;
  }
  for (const FileChange& change : changes) {
    if (io.json() || io.format == Format::kYaml) {
      PrintChangeJson(
          io, change,
          written || (one_output && !options.output_file.empty() && options.output_file != "-"));
    } else if (change.after == change.before) {
      io.err << change.file << ": nothing to change\n";
    } else if (absl::Status s = ShowChange(io, io.err, change); !s.ok()) {
      return s;
    }
  }
  if (!one_output) return 0;
  if (options.output_file.empty() || options.output_file == "-") {
    if (io.format != Format::kTable) return 0;  // it asked what would change, and was told
    MakeOutputPrivate(io);
    io.out << changes[0].after;
    return 0;
  }
  absl::Status status = Exists(options.output_file)
                            ? EditFileAtomically(options.output_file, changes[0].after)
                            : WriteNewFile(options.output_file, changes[0].after, 0600);
  if (!status.ok()) return status;
  return 0;
}

}  // namespace basalt::client
