// image-builder: makes, locks and checks node images. `./dev image` calls it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "images/builder/build.h"
#include "images/builder/extension.h"
#include "images/builder/host.h"
#include "machineconfig/sign/document.h"

namespace {

using basalt::image::BuildOptions;

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "image-builder: %s\n", std::string(status.message()).c_str());
  return 1;
}

struct Files {
  std::string trust, key, extension;
  int64_t time = BASALT_BUILD_TIME;
};

int Make(BuildOptions options, const Files& files) {
  options.time = absl::FromUnixSeconds(files.time);
  options.say = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  if (!files.trust.empty()) {
    absl::StatusOr<std::string> trust = basalt::image::ReadWhole(files.trust);
    if (!trust.ok()) return Fail(trust.status());
    // A node would refuse another file at its first boot, where that is harder to see.
    if (auto chain = basalt::sign::ChainFromJson(*trust); !chain.ok()) {
      return Fail(absl::InvalidArgumentError(
          absl::StrCat(files.trust, " is no trust policy: ", chain.status().message())));
    }
    options.trust = *trust;
  }
  absl::StatusOr<basalt::sign::PrivateKey> key = absl::NotFoundError("");
  if (!files.key.empty()) {
    absl::StatusOr<std::string> pem = basalt::image::ReadWhole(files.key);
    if (!pem.ok()) return Fail(pem.status());
    const char* passphrase = std::getenv("NODECTL_PASSPHRASE");
    key = basalt::sign::PrivateKey::FromPem(*pem, passphrase != nullptr ? passphrase : "");
    if (!key.ok()) return Fail(key.status());
    options.key = &*key;
  }
  if (!files.extension.empty()) {
    absl::Status made = basalt::image::BuildExtension(options, files.extension).status();
    return made.ok() ? 0 : Fail(made);
  }
  absl::StatusOr<basalt::image::BuildResult> built = basalt::image::BuildImage(options);
  return built.ok() ? 0 : Fail(built.status());
}

}  // namespace

int main(int argc, char** argv) {
  BuildOptions options{.profile = "vm-amd64", .version = BASALT_VERSION};
  Files files;
  std::string directory, contents, architecture = "amd64";
  std::vector<std::string> outputs = {"raw"};
  CLI::App app("Makes node images of Basalt from Debian packages, as an ordinary user.");
  app.require_subcommand(1);
  CLI::App* build = app.add_subcommand("build", "Make an image");
  CLI::App* lock = app.add_subcommand("lock", "Write the profile's lock file anew");
  CLI::App* check =
      app.add_subcommand("check", "Check an unpacked root against its list of contents");
  for (CLI::App* verb : {build, lock}) {
    verb->add_option("--profile", options.profile, "vm-amd64 and its like: a file of the recipe");
    verb->add_option("--recipe", options.recipe, "The directory images/recipe")->required();
    verb->add_option("--extension", files.extension,
                     "Not the image, but an add-on of it: extensions/NAME.list of the recipe");
    verb->add_option("--cache", options.cache, "Where packages are kept")->required();
  }
  build->add_option("--programs", options.programs, "Where our own programs were built")
      ->required();
  build->add_option("--out", options.out, "Where the image goes")->required();
  build->add_option("--image-version", options.version, "The image's version");
  build->add_option("--epoch", options.epoch, "Rises when older images must not boot again");
  build->add_option("--time", files.time, "Seconds since 1970: of the sources");
  build->add_option("--tries", options.tries,
                    "Boots until the entry counts as failed; 0: not counted");
  build
      ->add_option("--output", outputs,
                   "raw: disk and qcow2; oci: a container, as image and bundle")
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"raw", "oci"}));
  build->add_option("--trust", files.trust,
                    "Trust policy (trust.json) that a new node starts from");
  build->add_option("--data-limit", options.data_limit_mib,
                    "MiB that DATA takes at most at the first boot; the rest is for volumes");
  build->add_option("--key", files.key,
                    "Private key that signs the manifest; its passphrase in $NODECTL_PASSPHRASE");
  check->add_option("directory", directory, "The unpacked root")->required();
  check->add_option("contents", contents, "basalt-*.contents.tsv")->required();
  check->add_option("--architecture", architecture, "amd64 or arm64");
  CLI11_PARSE(app, argc, argv);
  options.disk = std::count(outputs.begin(), outputs.end(), "raw") > 0;
  options.oci = std::count(outputs.begin(), outputs.end(), "oci") > 0;
  // apt takes relative paths for its own.
  for (std::string* path : {&options.recipe, &options.cache, &options.programs, &options.out}) {
    if (!path->empty()) *path = std::filesystem::absolute(*path).lexically_normal();
  }
  if (build->parsed()) return Make(options, files);
  options.say = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  absl::Status done = !lock->parsed() ? basalt::image::CheckRoot(directory, contents, architecture)
                      : files.extension.empty()
                          ? basalt::image::UpdateLock(options)
                          : basalt::image::UpdateExtensionLock(options, files.extension);
  return done.ok() ? 0 : Fail(done);
}
