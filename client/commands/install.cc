// nodectl install: which disk a node that runs from an install medium puts itself onto, into its
// source, and the source applied.
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/apply_report.h"
#include "client/commands/config_schema.h"
#include "client/commands/disk_verbs.h"
#include "client/commands/disk_words.h"
#include "client/commands/editing.h"
#include "client/commands/file_change.h"
#include "client/commands/inputs.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/merge/rewrite.h"
#include "machineconfig/yaml/decode.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

absl::Status Usage(absl::string_view message, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "usage", message, hint);
}

absl::StatusOr<v1::DiskSelector> SelectorOf(const std::string& text) {
  auto fields = ParseSelector(text);
  if (!fields.ok()) return fields.status();
  v1::DiskSelector selector;
  for (const auto& [name, value] : *fields) {
    const auto* field = selector.GetDescriptor()->FindFieldByCamelcaseName(name);
    if (field->enum_type() == nullptr) {
      selector.GetReflection()->SetString(&selector, field, value);
      continue;
    }
    const auto* kind = field->enum_type()->FindValueByName(
        absl::StrCat("DISK_TYPE_", absl::AsciiStrToUpper(value)));
    if (kind == nullptr || kind->number() == 0) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "bad-disk-selector",
                        absl::StrCat("`", value, "` is no kind of disk"),
                        "nvme, ssd, hdd, usb, sd, emmc, virtio");
    }
    selector.GetReflection()->SetEnum(&selector, field, kind);
  }
  return selector;
}

}  // namespace

absl::StatusOr<int> RunInstall(Session& session, const InstallOptions& options) {
  std::string file = options.file;
  if (file.empty()) {
    if (options.apply.node.empty()) return Usage("which node?", "-n NODE, or -f FILE");
    absl::StatusOr<std::string> found = SourceOfNode(session, options.apply.node);
    if (!found.ok()) return found.status();
    file = *found;
  }
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs({file});
  if (!inputs.ok()) return inputs.status();
  if (file == "-" || inputs->size() != 1) return Usage("install takes one file", "-f n1.yaml");
  const Input& input = (*inputs)[0];
  if (absl::Status s = RefuseSigned(input); !s.ok()) return s;
  v1::MachineConfig config;
  const yaml::DecodeResult read = yaml::Decode(input.text, input.file, config);
  if (!read.ok()) return api::Invalid(read.errors);
  v1::Install& install = *config.mutable_system()->mutable_install();
  if (options.disk.empty() && !install.has_disk()) {
    return Usage("onto which disk?", "--disk serial=...; nodectl get disk -n NODE lists them");
  }
  if (!options.disk.empty()) {
    absl::StatusOr<v1::DiskSelector> selector = SelectorOf(options.disk);
    if (!selector.ok()) return selector.status();
    *install.mutable_disk() = *std::move(selector);
  }
  if (options.wipe) install.set_wipe(true);
  absl::StatusOr<std::string> after = merge::Rewrite(input.text, input.file, config);
  if (!after.ok()) return after.status();
  absl::StatusOr<ConfigSchema> schema = ConfigSchema::Of(session, "");
  if (!schema.ok()) return schema.status();
  absl::StatusOr<FileChange> change = CheckChange(*schema, input.file, input.text, *after);
  if (!change.ok()) return change.status();
  Io& io = session.io();
  PrintViolations(io, "warning", change->warnings);
  if (!options.apply.dry_run && change->after != change->before) {
    if (absl::Status s = WriteChanges({*change}); !s.ok()) return s;
    if (!io.json()) io.err << input.file << ": system.install written\n";
  }
  // The plan names the disk, and asks before anything on it is lost.
  return ApplyInputs(session, options.apply, {{input.file, change->after, false}});
}

}  // namespace basalt::client
