// nodectl config migrate: what a config says in words of earlier releases, in those of now.
#include "machineconfig/merge/migrate.h"

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/editing.h"
#include "client/commands/file_change.h"
#include "client/commands/inputs.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "client/output/table.h"
#include "machineconfig/format/k3s_version.h"
#include "machineconfig/merge/rewrite.h"
#include "machineconfig/yaml/decode.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

struct Migrated {
  FileChange change;
  std::vector<merge::MigrationStep> steps;
};

absl::StatusOr<Migrated> MigrateOne(const ConfigSchema& schema, const Input& input,
                                    const std::string& k3s) {
  if (absl::Status s = RefuseSigned(input); !s.ok()) return s;
  v1::MachineConfig config;
  const yaml::DecodeResult read = yaml::Decode(input.text, input.file, config);
  if (!read.ok()) return api::Invalid(read.errors);
  const absl::StatusOr<format::K3sVersion> version =
      format::ParseK3sVersion(k3s.empty() ? config.k3s().version() : k3s);
  if (!k3s.empty() && !version.ok()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "usage",
                      absl::StrCat("'", k3s, "' is no release of K3s"), "--k3s v1.36.0+k3s1");
  }
  Migrated out;
  out.steps = merge::Migrate(config, version.ok() ? version->minor : 0);
  absl::StatusOr<std::string> after = merge::Rewrite(input.text, input.file, config);
  if (!after.ok()) return after.status();
  absl::StatusOr<FileChange> change = CheckChange(schema, input.file, input.text, *after);
  if (!change.ok()) return change.status();
  out.change = *std::move(change);
  return out;
}

nlohmann::ordered_json Json(const Migrated& one, bool written) {
  nlohmann::ordered_json out;
  out["file"] = one.change.file;
  out["written"] = written && one.change.after != one.change.before;
  out["steps"] = nlohmann::ordered_json::array();
  for (const merge::MigrationStep& step : one.steps) {
    nlohmann::ordered_json line{{"path", step.path}};
    if (!step.to.empty()) line["to"] = step.to;
    line["reason"] = step.reason;
    line["automatic"] = step.automatic;
    out["steps"].push_back(std::move(line));
  }
  return out;
}

}  // namespace

absl::StatusOr<int> RunMigrate(Session& session, const MigrateOptions& options) {
  Io& io = session.io();
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs(options.files);
  if (!inputs.ok()) return inputs.status();
  absl::StatusOr<ConfigSchema> schema = ConfigSchema::Of(session, "");
  if (!schema.ok()) return schema.status();
  std::vector<Migrated> all;
  std::vector<FileChange> changes;
  for (const Input& input : *inputs) {
    if (options.write && input.file == "(standard input)") {
      return api::Coded(absl::StatusCode::kInvalidArgument, "usage", "--write of standard input",
                        "-f FILE");
    }
    absl::StatusOr<Migrated> one = MigrateOne(*schema, input, options.k3s);
    if (!one.ok()) return one.status();
    changes.push_back(one->change);
    all.push_back(*std::move(one));
  }
  if (options.write) {
    if (absl::Status s = WriteChanges(changes); !s.ok()) return s;
  }
  bool open = false, waiting = false;
  Table table{{"FILE", "PATH", "TO", "WHO", "WHY"}, {}};
  for (const Migrated& one : all) {
    for (const merge::MigrationStep& step : one.steps) {
      open = open || !step.automatic;
      waiting = waiting || step.automatic;
      table.rows.push_back({one.change.file, step.path, step.to.empty() ? "-" : step.to,
                            step.automatic ? "nodectl" : "you", step.reason});
    }
    if (io.json()) {
      io.out << Json(one, options.write).dump(-1, ' ', true) << "\n";
    } else if (io.format == Format::kYaml) {
      io.out << "---\n" << JsonToYaml(Json(one, options.write).dump());
    } else if (io.format == Format::kName && !one.steps.empty()) {
      io.out << one.change.file << "\n";
    }
  }
  if (io.format != Format::kTable && io.format != Format::kWide) return 0;
  if (table.rows.empty()) {
    io.out << "nothing to migrate\n";
    return 0;
  }
  PrintTable(io, table);
  if (options.write && waiting) io.err << "written\n";
  if (!options.write && waiting) io.err << "--write does what stands behind nodectl\n";
  if (open) io.err << "what stands behind you wants a decision: nodectl edit -f FILE\n";
  return 0;
}

}  // namespace basalt::client
