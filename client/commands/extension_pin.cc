// nodectl extension pin, remove: which add-ons of the image a config names.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/config_schema.h"
#include "client/commands/editing.h"
#include "client/commands/file_change.h"
#include "client/commands/inputs.h"
#include "client/commands/manifest_source.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/merge/rewrite.h"
#include "machineconfig/sign/extension_manifest.h"
#include "machineconfig/yaml/decode.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

absl::Status Usage(absl::string_view message, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "usage", message, hint);
}

struct Source {
  Input input;
  v1::MachineConfig config;
};

absl::StatusOr<Source> ReadSource(const std::string& file) {
  if (file == "-") return Usage("a file is edited in place", "-f n1.yaml");
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs({file});
  if (!inputs.ok()) return inputs.status();
  if (inputs->size() != 1) return Usage("one file at a time", "-f n1.yaml");
  Source source{.input = (*inputs)[0], .config = {}};
  if (absl::Status s = RefuseSigned(source.input); !s.ok()) return s;
  const yaml::DecodeResult read = yaml::Decode(source.input.text, source.input.file, source.config);
  if (!read.ok()) return api::Invalid(read.errors);
  return source;
}

// Writes the config as it is now; the rest of the text stays as a person wrote it.
absl::StatusOr<bool> WriteSource(Session& session, const Source& source) {
  const Input& input = source.input;
  absl::StatusOr<std::string> after = merge::Rewrite(input.text, input.file, source.config);
  if (!after.ok()) return after.status();
  absl::StatusOr<ConfigSchema> schema = ConfigSchema::Of(session, "");
  if (!schema.ok()) return schema.status();
  absl::StatusOr<FileChange> change = CheckChange(*schema, input.file, input.text, *after);
  if (!change.ok()) return change.status();
  PrintViolations(session.io(), "warning", change->warnings);
  if (change->after == change->before) return false;
  if (absl::Status s = WriteChanges({*change}); !s.ok()) return s;
  return true;
}

void Say(Session& session, const nlohmann::ordered_json& facts, const std::string& line) {
  Io& io = session.io();
  if (io.json()) {
    io.out << facts.dump() << "\n";
  } else if (io.format == Format::kYaml) {
    io.out << JsonToYaml(facts.dump());
  } else {
    io.out << line << "\n";
  }
}

}  // namespace

absl::StatusOr<int> RunExtensionPin(Session& session, const ExtensionPinOptions& options) {
  if (options.urls.empty() && !IsUrl(options.manifest)) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "needs-url",
                      "the node cannot read files of this machine",
                      "--url URL of the manifest, the extension beside it");
  }
  absl::StatusOr<Source> source = ReadSource(options.file);
  if (!source.ok()) return source.status();
  absl::StatusOr<std::string> text = ReadManifest(options.manifest);
  if (!text.ok()) return text.status();
  absl::StatusOr<sign::VerifiedDocument> verified =
      VerifyImageDocument(session, *text, options.manifest, source->config);
  if (!verified.ok()) return verified.status();
  absl::StatusOr<sign::ExtensionManifest> manifest =
      sign::ParseExtensionManifest(verified->payload());
  if (!manifest.ok()) return api::Annotate(manifest.status(), options.manifest);

  auto& all = *source->config.mutable_system()->mutable_extensions();
  auto at = std::find_if(all.begin(), all.end(), [&](const v1::SystemExtension& one) {
    return one.name() == manifest->name;
  });
  v1::SystemExtension& one = at == all.end() ? *all.Add() : *at;
  const std::string digest = verified->digest().ToString();
  one.set_name(manifest->name);
  one.set_digest(digest);
  one.clear_urls();
  for (const std::string& url : options.urls) one.add_urls(url);
  if (options.urls.empty()) one.add_urls(options.manifest);
  absl::StatusOr<bool> written = WriteSource(session, *source);
  if (!written.ok()) return written.status();
  nlohmann::ordered_json facts = {{"file", options.file},
                                  {"name", manifest->name},
                                  {"version", manifest->version},
                                  {"architecture", manifest->architecture},
                                  {"kernelRelease", manifest->kernel_release},
                                  {"digest", digest},
                                  {"size", manifest->file.size},
                                  {"written", *written}};
  Say(session, facts,
      absl::StrCat(options.file, ": extension ", manifest->name, " ", manifest->version, " for ",
                   manifest->architecture,
                   manifest->kernel_release.empty()
                       ? ""
                       : absl::StrCat(", kernel ", manifest->kernel_release),
                   ", ", digest.substr(0, 19), "...", *written ? "" : ", as before"));
  return 0;
}

absl::StatusOr<int> RunExtensionRemove(Session& session, const ExtensionRemoveOptions& options) {
  absl::StatusOr<Source> source = ReadSource(options.file);
  if (!source.ok()) return source.status();
  auto& all = *source->config.mutable_system()->mutable_extensions();
  const auto at = std::find_if(all.begin(), all.end(), [&](const v1::SystemExtension& one) {
    return one.name() == options.name;
  });
  if (at == all.end()) {
    return api::Coded(absl::StatusCode::kNotFound, "no-such-extension",
                      absl::StrCat(options.file, " names no extension `", options.name, "`"));
  }
  all.erase(at);
  absl::StatusOr<bool> written = WriteSource(session, *source);
  if (!written.ok()) return written.status();
  Say(session, {{"file", options.file}, {"name", options.name}, {"written", *written}},
      absl::StrCat(options.file, ": without the extension ", options.name));
  return 0;
}

}  // namespace basalt::client
