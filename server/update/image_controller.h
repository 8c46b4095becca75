// `system.image` as the engine's controller: fetches and verifies the image that a config names,
// writes it into the slot that does not run, has the loader try it, and says what became of it.
// README.md has the life of an upgrade. All calls and callbacks on the loop thread; what blocks is
// in the pool.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "basalt/v1/trust.pb.h"
#include "machineconfig/sign/image_manifest.h"
#include "server/artifacts/artifact_store.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/boot_disk.h"
#include "server/host/clock.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"

namespace basalt::update {

// /usr/lib/basalt/image.json of the root that runs.
struct RunningImage {
  std::string version;
  std::string profile;
  int64_t epoch = 1;
  absl::Time build_time;
};
// InvalidArgument "bad-image-info".
absl::StatusOr<RunningImage> ParseRunningImage(absl::string_view json);

struct ImageControllerDeps {
  engine::Executor& executor;
  host::Vfs& vfs;
  host::Clock& clock;
  std::string architecture;
  std::string unimplemented;             // "", or why nothing of this is possible on this machine
  std::shared_ptr<host::BootDisk> disk;  // null then
  RunningImage running;
  std::function<const v1::TrustPolicy&()> policy;
  // Whether what else the config names goes with the image (extensions); may be empty.
  std::function<absl::Status(const v1::MachineConfig&, const sign::ImageManifest&)> fits_rest;
  std::unique_ptr<artifacts::ArtifactStore> manifests;  // kept: what a node knows images by
  std::unique_ptr<artifacts::ArtifactStore> files;      // of an image, until they are written
};

class ImageController : public engine::Controller {
 public:
  // How long K3s and the rest may take on a trial boot before PID 1 gives it up.
  static constexpr absl::Duration kTrialLimit = absl::Minutes(15);

  // Reads the record and looks at the disk: blocks, before anything is served.
  virtual void Load() = 0;
  // An order: back to the image in the other slot. `done` when the loader has been told; the
  // machine has to restart then. Reasons: no-image-to-return-to, image-below-epoch,
  // wrong-version (the order names another than is there).
  virtual void RollBack(const v1::Action& action, engine::Done done) = 0;
  // What a boot on trial waits for before it may be called good, `others` being those of services.
  // While the config that brought it is judged: for that too. Afterwards for nothing: the gate has
  // found the node no less healthy than before, and going back would leave what was committed.
  virtual std::vector<engine::Condition> TrialConditions(
      std::vector<engine::Condition> others) const = 0;
  // Of the kernel in the image that a config names; "" when it names none, or nobody has fetched
  // it.
  virtual std::string KernelReleaseFor(const v1::MachineConfig& config) const = 0;
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
};

std::unique_ptr<ImageController> MakeImageController(ImageControllerDeps deps);

// What a store of manifests knows a file by: the digest of the signed document in it.
absl::StatusOr<std::string> DigestOfManifest(int fd);
inline constexpr int64_t kMostManifest = 2 << 20;

// The real one: stores below data/image and state/image/manifests, downloads by `fetch_program`.
// `disk` may say why there is none.
std::unique_ptr<ImageController> MakeRealImageController(
    engine::Executor& executor, host::Vfs& vfs, host::Clock& clock, host::Supervisor& supervisor,
    const std::string& architecture, const std::string& fetch_program,
    std::function<const v1::TrustPolicy&()> policy,
    std::function<absl::Status(const v1::MachineConfig&, const sign::ImageManifest&)> fits_rest);

}  // namespace basalt::update
