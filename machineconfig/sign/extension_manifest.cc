#include "machineconfig/sign/extension_manifest.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "machineconfig/format/format.h"
#include "machineconfig/sign/manifest_reader.h"

namespace basalt::sign {
namespace {

constexpr int64_t kMostFile = int64_t{4} << 30;
constexpr int64_t kMostSbom = int64_t{64} << 20;
constexpr size_t kMostModules = 512;
constexpr size_t kMostFiles = 16384;

absl::Status Bad(absl::string_view why) {
  return api::Coded(
      absl::StatusCode::kInvalidArgument, "bad-manifest",
      absl::StrCat("the manifest of the extension: ", why),
      "image-builder writes it as *.extension.yaml, and with --key signed as *.extension.json");
}

// Below /usr, which is what is laid over the root's: no file of an extension gets anywhere else.
bool GoodPath(absl::string_view path) {
  if (!absl::StartsWith(path, "/usr/")) return false;
  for (absl::string_view part : absl::StrSplit(path.substr(1), '/')) {
    if (part.empty() || part == "." || part == "..") return false;
    if (std::any_of(part.begin(), part.end(), [](char c) { return absl::ascii_iscntrl(c); })) {
      return false;
    }
  }
  return true;
}

bool GoodSalt(absl::string_view salt) {
  return !salt.empty() && salt.size() <= 128 && salt.size() % 2 == 0 &&
         std::all_of(salt.begin(), salt.end(),
                     [](char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); });
}

}  // namespace

absl::StatusOr<ExtensionManifest> ParseExtensionManifest(absl::string_view payload) {
  const nlohmann::json json = ParseOnce(payload);
  if (!json.is_object()) return Bad("not a JSON object with each key once");
  ManifestReader read(json);
  const std::string version = read.Text("apiVersion"), kind = read.Text("kind");
  if (version != "basalt/v1" || kind != "Extension") return Bad("not of kind Extension, basalt/v1");
  ExtensionManifest out;
  out.name = read.Text("name");
  if (!format::Check(v1::FORMAT_HOSTNAME, out.name).ok()) read.Wrong("name");
  out.architecture = read.Word("architecture");
  out.version = read.Word("version");
  out.build_time = read.Time("buildTime");
  out.kernel_release = read.OptionalText("kernelRelease");
  out.root = read.Root("root");
  out.salt = read.Text("salt");
  if (!GoodSalt(out.salt)) read.Wrong("salt");
  out.file = read.File("file", kMostFile);
  out.sbom = read.File("sbom", kMostSbom);
  out.modules = read.Texts("modules", kMostModules);
  for (const std::string& module : out.modules) {
    if (!format::Check(v1::FORMAT_MODULE, module).ok()) read.Wrong("modules");
  }
  if (out.modules.empty() != out.kernel_release.empty()) read.Wrong("kernelRelease");
  out.files = read.TextsByName("files", kMostFiles);
  if (out.files.empty()) read.Wrong("files");
  for (const auto& [path, what] : out.files) {
    if (!GoodPath(path) || !(absl::StartsWith(what, "-> ") || Digest::Parse(what).ok())) {
      read.Wrong("files");
    }
  }
  if (!read.wrong().empty()) {
    return Bad(absl::StrCat("`", read.wrong(), "` is missing or not what it has to be"));
  }
  return out;
}

}  // namespace basalt::sign
