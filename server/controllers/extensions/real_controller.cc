// The controller of a real machine: its stores, and the kernel that runs.
#include <sys/utsname.h>

#include "server/controllers/extensions/controller_impl.h"
#include "server/update/image_controller.h"

namespace basalt::extensions {

std::unique_ptr<ExtensionsController> MakeRealExtensionsController(
    engine::Executor& executor, host::Vfs& vfs, host::Kernel& kernel, host::Supervisor& supervisor,
    const std::string& architecture, const std::string& fetch_program,
    std::function<const v1::TrustPolicy&()> policy,
    std::function<std::string(const v1::MachineConfig&)> next_kernel) {
  utsname name{};
  uname(&name);
  return MakeExtensionsController(
      {.executor = executor,
       .vfs = vfs,
       .kernel = kernel,
       .architecture = architecture,
       .kernel_release = name.release,
       .mounts = host::MakeExtensionMounts(),
       .policy = std::move(policy),
       .next_kernel = std::move(next_kernel),
       .manifests = artifacts::MakeArtifactStore(executor, supervisor,
                                                 {.dir = vfs.Absolute(kManifests),
                                                  .fetch_program = fetch_program,
                                                  .services = "extension-man-",
                                                  .digest_of = update::DigestOfManifest,
                                                  .most_bytes = kMostManifest}),
       .files = artifacts::MakeArtifactStore(executor, supervisor,
                                             {.dir = vfs.Absolute(kFiles),
                                              .fetch_program = fetch_program,
                                              .services = "extension-fetch-",
                                              .most_bytes = int64_t{4} << 30})});
}

}  // namespace basalt::extensions
