#include "client/commands/file_change.h"

#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/external_diff.h"
#include "client/output/messages.h"
#include "client/output/plan_text.h"
#include "machineconfig/yaml/emit.h"
#include "nlohmann/json.hpp"

namespace basalt::client {

absl::Status RefuseSigned(const Input& input) {
  if (!input.is_envelope) return absl::OkStatus();
  return api::WithDetail(
      api::Coded(absl::StatusCode::kInvalidArgument, "signed",
                 absl::StrCat(input.file, " is signed: a change would break its signatures"),
                 "change the source it was made of, and sign that again"),
      "file", input.file);
}

absl::StatusOr<FileChange> CheckChange(const ConfigSchema& schema, const std::string& file,
                                       const std::string& before, const std::string& after) {
  ConfigSchema::Config old = schema.Load(before, file);
  ConfigSchema::Config now = schema.Load(after, file);
  std::set<std::pair<std::string, std::string>> known;
  for (const api::Violation& error : old.errors) known.emplace(error.path, error.reason);
  FileChange out{.file = file, .before = before, .after = after};
  std::vector<api::Violation> fresh;
  for (api::Violation& error : now.errors) {
    (known.count({error.path, error.reason}) > 0 ? out.warnings : fresh)
        .push_back(std::move(error));
  }
  if (!fresh.empty() || !now.readable) return api::Invalid(fresh.empty() ? now.errors : fresh);
  out.warnings.insert(out.warnings.end(), now.warnings.begin(), now.warnings.end());
  out.plan = schema.Changes(*old.message, *now.message);
  // Which keys of K3s are secret is known here for this program's own schema; a newer node's may
  // have more, and those are not handed to another program.
  if (schema.own()) {
    out.redacted_before = yaml::Emit(*old.message, {.redact = true});
    out.redacted_after = yaml::Emit(*now.message, {.redact = true});
  }
  return out;
}

absl::Status ShowChange(Io& io, std::ostream& to, const FileChange& change) {
  if (change.plan.unchanged()) return absl::OkStatus();
  const std::string command = change.redacted_after.empty() ? "" : ExternalDiffCommand();
  if (!command.empty() && !io.json()) {
    const std::string name = std::filesystem::path(change.file).filename().string();
    return RunExternalDiff(io, command, {{name, change.redacted_before, change.redacted_after}})
        .status();
  }
  to << Bold(io, Escape(change.file)) << "\n" << DiffText(io, change.plan);
  return absl::OkStatus();
}

void PrintChangeJson(Io& io, const FileChange& change, bool written) {
  nlohmann::ordered_json out;
  out["file"] = change.file;
  out["changed"] = change.after != change.before;
  out["written"] = written;
  out["plan"] = nlohmann::ordered_json::parse(ToJson(change.plan), nullptr, false);
  if (io.format == Format::kYaml) {
    io.out << "---\n" << JsonToYaml(out.dump());
  } else {
    io.out << out.dump(-1, ' ', true) << "\n";
  }
}

absl::Status WriteChanges(const std::vector<FileChange>& changes) {
  std::vector<std::string> written;
  for (const FileChange& change : changes) {
    if (change.after == change.before) continue;
    absl::Status status = EditFileAtomically(change.file, change.after);
    if (!status.ok() && written.empty()) return status;
    if (!status.ok()) {
      return api::Coded(
          status.code(), "partly-written",
          absl::StrCat(status.message(), "; written before: ", absl::StrJoin(written, ", ")));
    }
    written.push_back(change.file);
  }
  return absl::OkStatus();
}

}  // namespace basalt::client
