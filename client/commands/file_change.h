// Sources that are about to say something else: checked all before the first is written, shown, and
// then each replaced as a whole. Shared by patch, edit and config migrate. Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/commands/config_schema.h"
#include "client/commands/inputs.h"

namespace basalt::client {

struct FileChange {
  std::string file;
  std::string before;
  std::string after;
  v1::PlanReply plan;           // what differs in meaning
  std::string redacted_before;  // both as YAML for a program that compares
  std::string redacted_after;
  std::vector<api::Violation> warnings;
};

// InvalidArgument/"signed" for an envelope: what is signed cannot be changed any more.
absl::Status RefuseSigned(const Input& input);

// `after` against the schema. What was wrong before is a warning; what is wrong only now is an
// error with every violation. `before` must be readable.
absl::StatusOr<FileChange> CheckChange(const ConfigSchema& schema, const std::string& file,
                                       const std::string& before, const std::string& after);

// A line a change, on `to`; by NODECTL_EXTERNAL_DIFF when it is set. Nothing for a change that
// means the same.
absl::Status ShowChange(Io& io, std::ostream& to, const FileChange& change);

// {"file", "changed", "written", "plan"}, one line.
void PrintChangeJson(Io& io, const FileChange& change, bool written);

// Each atomically, with the mode it has. "partly-written" names those that were, should the disk
// fail in between.
absl::Status WriteChanges(const std::vector<FileChange>& changes);

}  // namespace basalt::client
