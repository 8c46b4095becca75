// `system.extensions` as the engine's controller: add-ons of the image are fetched, verified and
// laid over the root's /usr. README.md has their life. All calls and callbacks on the loop thread;
// what blocks is in the pool.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "basalt/v1/trust.pb.h"
#include "machineconfig/sign/image_manifest.h"
#include "server/artifacts/artifact_store.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/extension_mounts.h"
#include "server/host/kernel.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"

namespace basalt::extensions {

struct ExtensionsDeps {
  engine::Executor& executor;
  host::Vfs& vfs;
  host::Kernel& kernel;
  std::string architecture;
  std::string kernel_release;  // of the kernel that runs
  std::shared_ptr<host::ExtensionMounts> mounts;
  std::function<const v1::TrustPolicy&()> policy;
  // Of the image that a config names, when it is another than runs and is known; else "".
  std::function<std::string(const v1::MachineConfig&)> next_kernel;
  std::unique_ptr<artifacts::ArtifactStore> manifests;  // kept: what a node knows extensions by
  std::unique_ptr<artifacts::ArtifactStore> files;
};

class ExtensionsController : public engine::Controller {
 public:
  // Reads the manifests that are kept: blocks, before anything is served.
  virtual void Load() = 0;
  // For `system.image`: whether the extensions that `config` names have modules for another kernel.
  // FailedPrecondition "extension-wrong-kernel" names both. Extensions that nobody has fetched yet
  // are judged when they are.
  virtual absl::Status FitImage(const v1::MachineConfig& config,
                                const sign::ImageManifest& image) const = 0;
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
};

std::unique_ptr<ExtensionsController> MakeExtensionsController(ExtensionsDeps deps);

// The real one: stores below data/extensions and state/extensions, downloads by `fetch_program`.
std::unique_ptr<ExtensionsController> MakeRealExtensionsController(
    engine::Executor& executor, host::Vfs& vfs, host::Kernel& kernel, host::Supervisor& supervisor,
    const std::string& architecture, const std::string& fetch_program,
    std::function<const v1::TrustPolicy&()> policy,
    std::function<std::string(const v1::MachineConfig&)> next_kernel);

}  // namespace basalt::extensions
