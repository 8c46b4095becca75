// nodectl upgrade: another image, by a config that names it; or, by an order, the one before.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/apply_report.h"
#include "client/commands/config_schema.h"
#include "client/commands/editing.h"
#include "client/commands/file_change.h"
#include "client/commands/inputs.h"
#include "client/commands/manifest_source.h"
#include "client/commands/order.h"
#include "client/output/errors.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/merge/rewrite.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/image_manifest.h"
#include "machineconfig/yaml/decode.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

absl::Status Usage(absl::string_view message, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "usage", message, hint);
}

// What `--image` names, as far as it could be looked at.
struct NamedImage {
  std::string digest;   // "sha256:..."
  std::string version;  // "" when nothing was looked at
  std::vector<std::string> urls;
};

absl::StatusOr<NamedImage> Inspect(Session& session, const std::string& text,
                                   const std::string& name, const v1::MachineConfig& config) {
  absl::StatusOr<sign::VerifiedDocument> verified =
      VerifyImageDocument(session, text, name, config);
  if (!verified.ok()) return verified.status();
  absl::StatusOr<sign::ImageManifest> manifest = sign::ParseImageManifest(verified->payload());
  if (!manifest.ok()) return api::Annotate(manifest.status(), name);
  return NamedImage{.digest = verified->digest().ToString(), .version = manifest->version};
}

absl::StatusOr<NamedImage> Resolve(Session& session, const UpgradeOptions& options,
                                   const v1::MachineConfig& config) {
  const bool digest = absl::StartsWith(options.image, "sha256:");
  const bool url = IsUrl(options.image);
  if (options.urls.empty() && !url) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "needs-url",
                      digest ? "a digest does not say where the image is"
                             : "the node cannot read files of this machine",
                      "--url URL of the manifest, slot and kernel image beside it; a stick in the "
                      "node: --image file:///PATH/ON/THE/NODE.image.json");
  }
  NamedImage image;
  if (digest) {
    if (absl::Status good = Digest::Parse(options.image).status(); !good.ok()) return good;
    image.digest = options.image;
    PrintWarning(session.io(),
                 "the image was not looked at: the node checks its signatures when it fetches it");
  } else {
    absl::StatusOr<std::string> text = ReadManifest(options.image);
    if (!text.ok()) return text.status();
    absl::StatusOr<NamedImage> found = Inspect(session, *text, options.image, config);
    if (!found.ok()) return found;
    image = *std::move(found);
  }
  image.urls = options.urls.empty() ? std::vector<std::string>{options.image} : options.urls;
  return image;
}

absl::StatusOr<int> RollBack(Session& session, const UpgradeOptions& options) {
  if (!options.image.empty() || !options.urls.empty()) {
    return Usage("--rollback takes the image that is in the other slot",
                 "leave --image and --url out; an image from elsewhere: --image alone");
  }
  Order order{.verb = "imageRollback",
              .arguments = {},
              .what = "Take back the image of",
              .consequence = "it restarts with the one in its other slot",
              .done = "image rolled back",
              .command = "upgrade --rollback"};
  if (!options.version.empty()) order.arguments["version"] = options.version;
  if (options.allow_downgrade) order.arguments["allow"] = "downgrade";
  return RunOrder(session, order,
                  {.node = options.apply.node,
                   .signing = options.apply.signing,
                   .reason = options.apply.signing.reason,
                   .to = options.to,
                   .file = options.file,
                   .yes = options.apply.yes});
}

}  // namespace

absl::StatusOr<int> RunUpgrade(Session& session, const UpgradeOptions& options) {
  if (options.rollback) return RollBack(session, options);
  if (options.image.empty()) {
    return Usage("which image?", "--image FILE, URL or DIGEST; or --rollback");
  }
  if (!options.version.empty() || !options.to.empty() || options.allow_downgrade) {
    return Usage("--version, --to and --allow-downgrade are words of --rollback",
                 "an image below the node's epoch: metadata.allow: [downgrade] in the source");
  }
  std::string file = options.file;
  if (file.empty()) {
    if (options.apply.node.empty()) return Usage("which node?", "-n NODE, or -f FILE");
    absl::StatusOr<std::string> found = SourceOfNode(session, options.apply.node);
    if (!found.ok()) return found.status();
    file = *found;
  }
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs({file});
  if (!inputs.ok()) return inputs.status();
  if (file == "-" || inputs->size() != 1) return Usage("upgrade takes one file", "-f n1.yaml");
  const Input& input = (*inputs)[0];
  if (absl::Status s = RefuseSigned(input); !s.ok()) return s;
  v1::MachineConfig config;
  const yaml::DecodeResult read = yaml::Decode(input.text, input.file, config);
  if (!read.ok()) return api::Invalid(read.errors);
  absl::StatusOr<NamedImage> image = Resolve(session, options, config);
  if (!image.ok()) return image.status();

  v1::SystemImage& wanted = *config.mutable_system()->mutable_image();
  wanted.set_digest(image->digest);
  wanted.mutable_urls()->Assign(image->urls.begin(), image->urls.end());
  wanted.clear_version();
  if (!image->version.empty()) wanted.set_version(image->version);
  absl::StatusOr<std::string> after = merge::Rewrite(input.text, input.file, config);
  if (!after.ok()) return after.status();
  absl::StatusOr<ConfigSchema> schema = ConfigSchema::Of(session, "");
  if (!schema.ok()) return schema.status();
  absl::StatusOr<FileChange> change = CheckChange(*schema, input.file, input.text, *after);
  if (!change.ok()) return change.status();
  Io& io = session.io();
  PrintViolations(io, "warning", change->warnings);
  const bool write = !options.apply.dry_run && change->after != change->before;
  if (write) {
    if (absl::Status s = WriteChanges({*change}); !s.ok()) return s;
  }
  if (io.json()) {
    nlohmann::ordered_json line = {
        {"type", "image"}, {"file", input.file}, {"digest", image->digest}, {"written", write}};
    if (!image->version.empty()) line["version"] = image->version;
    io.out << line.dump() << "\n";
  } else {
    io.err << input.file << ": image " << Escape(image->version)
           << (image->version.empty() ? "" : " ") << image->digest.substr(0, 19) << "..."
           << (write                             ? ""
               : change->after == change->before ? ", as before"
                                                 : ", not written")
           << "\n";
  }
  return ApplyInputs(session, options.apply, {{input.file, change->after, false}});
}

}  // namespace basalt::client
