// The controller of a real machine: its disk, its stores, and what says which image runs.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/document.h"
#include "server/update/image_controller.h"

namespace basalt::update {
namespace {

constexpr char kImageInfo[] = "/usr/lib/basalt/image.json";

// Of a flat object: our own builder wrote it, onto a verified root. Noded-init reads it likewise.
absl::string_view ValueOf(absl::string_view json, absl::string_view key) {
  const std::string name = absl::StrCat("\"", key, "\"");
  size_t at = json.find(name);
  if (at == absl::string_view::npos) return "";
  json.remove_prefix(at + name.size());
  at = json.find_first_not_of(" :\n\t");
  if (at == absl::string_view::npos) return "";
  json.remove_prefix(at);
  const bool quoted = absl::ConsumePrefix(&json, "\"");
  return json.substr(0, json.find_first_of(quoted ? "\"" : " ,}\n"));
}

}  // namespace

absl::StatusOr<RunningImage> ParseRunningImage(absl::string_view text) {
  RunningImage image;
  image.version = std::string(ValueOf(text, "version"));
  image.profile = std::string(ValueOf(text, "profile"));
  absl::ParseTime(absl::RFC3339_full, ValueOf(text, "buildTime"), &image.build_time, nullptr);
  if (image.version.empty() || image.profile.empty() ||
      !absl::SimpleAtoi(ValueOf(text, "epoch"), &image.epoch) || image.epoch < 1) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-image-info",
                      absl::StrCat(kImageInfo, " does not say version, profile and epoch"));
  }
  return image;
}

absl::StatusOr<std::string> DigestOfManifest(int fd) {
  std::string text(kMostManifest + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = pread(fd, text.data() + size, text.size() - size, static_cast<off_t>(size));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::UnavailableError("reading a manifest");
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  text.resize(size);
  absl::StatusOr<v1::SignedDocument> document = sign::FromDsseJson(text);
  // What is no document has a digest too, which no config names: another mirror may have it right.
  return document.ok() ? sign::DocumentDigest(*document).Hex() : Sha256(text).Hex();
}

std::unique_ptr<ImageController> MakeRealImageController(
    engine::Executor& executor, host::Vfs& vfs, host::Clock& clock, host::Supervisor& supervisor,
    const std::string& architecture, const std::string& fetch_program,
    std::function<const v1::TrustPolicy&()> policy,
    std::function<absl::Status(const v1::MachineConfig&, const sign::ImageManifest&)> fits_rest) {
  ImageControllerDeps deps{.executor = executor,
                           .vfs = vfs,
                           .clock = clock,
                           .architecture = architecture,
                           .policy = std::move(policy),
                           .fits_rest = std::move(fits_rest)};
  struct stat root {};
  absl::StatusOr<host::BootDiskPlaces> places = absl::NotFoundError("no root");
  if (stat("/", &root) == 0) {
    places = host::FindBootDisk("", major(root.st_dev), minor(root.st_dev));
  }
  std::ifstream in(kImageInfo);
  absl::StatusOr<RunningImage> running =
      ParseRunningImage(std::string(std::istreambuf_iterator<char>(in), {}));
  if (places.ok() && running.ok()) {
    deps.disk = host::OpenBootDisk(*std::move(places));
    deps.running = *std::move(running);
  } else {
    deps.unimplemented =
        std::string(places.ok() ? running.status().message() : places.status().message());
  }
  deps.manifests = artifacts::MakeArtifactStore(executor, supervisor,
                                                {.dir = vfs.Absolute("state/image/manifests"),
                                                 .fetch_program = fetch_program,
                                                 .services = "manifest-fetch-",
                                                 .digest_of = DigestOfManifest,
                                                 .most_bytes = kMostManifest});
  deps.files = artifacts::MakeArtifactStore(executor, supervisor,
                                            {.dir = vfs.Absolute("data/image"),
                                             .fetch_program = fetch_program,
                                             .services = "image-fetch-"});
  return MakeImageController(std::move(deps));
}

}  // namespace basalt::update
