#include "machineconfig/sign/image_manifest.h"

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/manifest_reader.h"

namespace basalt::sign {
namespace {

constexpr int64_t kMostSlot = int64_t{64} << 30;
constexpr int64_t kMostKernel = int64_t{1} << 30;

absl::Status Bad(absl::string_view why) {
  return api::Coded(
      absl::StatusCode::kInvalidArgument, "bad-manifest",
      absl::StrCat("the manifest of the image: ", why),
      "image-builder writes it as *.image.yaml, and with --key signed as *.image.json");
}

}  // namespace

absl::StatusOr<ImageManifest> ParseImageManifest(absl::string_view payload) {
  const nlohmann::json json = ParseOnce(payload);
  if (!json.is_object()) return Bad("not a JSON object with each key once");
  ManifestReader read(json);
  const std::string version = read.Text("apiVersion"), kind = read.Text("kind");
  if (version != "basalt/v1" || kind != "Image") return Bad("not of kind Image, basalt/v1");
  ImageManifest out;
  out.profile = read.Word("profile");
  out.architecture = read.Word("architecture");
  out.version = read.Word("version");
  out.epoch = read.Number("epoch", 1000000);
  out.root = read.Root("root");
  out.slot = read.File("slot", kMostSlot);
  out.kernel = read.File("kernel", kMostKernel);
  out.build_time = read.Time("buildTime");
  out.kernel_release = read.OptionalText("kernelRelease");
  if (!read.wrong().empty()) {
    return Bad(absl::StrCat("`", read.wrong(), "` is missing or not what it has to be"));
  }
  return out;
}

std::string BesideManifest(absl::string_view url, absl::string_view name) {
  url = url.substr(0, url.find_first_of("?#"));
  return absl::StrCat(url.substr(0, url.rfind('/') + 1), name);
}

}  // namespace basalt::sign
