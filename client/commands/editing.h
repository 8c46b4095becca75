// The verbs that change sources, and those that tell of one node: options and exit codes as in
// commands.h.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/commands/commands.h"

namespace basalt::client {

struct PatchOptions {
  std::vector<std::string> files;
  std::vector<std::string> patch_files;
  std::vector<std::string> patches;
  std::vector<std::string> set;
  std::string node;  // whose schema is gone by; empty: this program's own
  std::string output_file;
  bool in_place = false;
  bool dry_run = false;
};
absl::StatusOr<int> RunPatch(Session& session, const PatchOptions& options);

// The file that says what `node` is: here, in nodes/, or beside the context. Reasons: no-source,
// which-source.
absl::StatusOr<std::string> SourceOfNode(Session& session, const std::string& node);

struct EditOptions {
  std::string file;  // empty: the source of apply.node
  bool decrypt = false;
  bool then_apply = false;
  ApplyOptions apply;
};
absl::StatusOr<int> RunEdit(Session& session, const EditOptions& options);

struct MigrateOptions {
  std::vector<std::string> files;
  std::string k3s;  // a release to go to: "v1.36.0+k3s1"; empty: the one that the file pins
  bool write = false;
};
absl::StatusOr<int> RunMigrate(Session& session, const MigrateOptions& options);

struct DescribeOptions {
  std::string node;
  std::string file;
  int limit = 5;  // of the history
};
absl::StatusOr<int> RunDescribe(Session& session, const DescribeOptions& options);

}  // namespace basalt::client
