// What is to be done about extensions, as pure functions of what is known.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/sign/extension_manifest.h"
#include "machineconfig/sign/policy.h"
#include "server/engine/controller.h"
#include "server/host/extension_mounts.h"

namespace basalt::extensions {

inline constexpr char kName[] = "system.extensions";

// One that a config names.
struct Wanted {
  std::string name;
  std::string digest;  // hex, of the manifest
  std::vector<std::string> urls;
  bool operator==(const Wanted&) const = default;
};
// In the order of the config; `config` may be null.
std::vector<Wanted> WantedBy(const v1::MachineConfig* config);

struct KnownExtension {
  sign::ExtensionManifest manifest;
  std::vector<std::string> signers;  // as the policy calls them
};
using KnownExtensions = std::map<std::string, KnownExtension>;  // by digest

// Steps of the plan: an addition is live, everything else wants a restart of the machine, since
// what runs may hold on to what goes. FailedPrecondition: extension-conflict,
// extension-wrong-kernel, as far as manifests are known. `kernel`: of the image that will run.
absl::StatusOr<engine::ControllerPlan> PlanExtensions(const v1::MachineConfig* from,
                                                      const v1::MachineConfig& to,
                                                      const KnownExtensions& known,
                                                      const std::string& kernel);

// Signatures, grant, digest and kind of a manifest as it was fetched. PermissionDenied,
// InvalidArgument: those of sign; DataLoss "extension-mismatch": another document than is named.
absl::StatusOr<KnownExtension> CheckManifest(absl::string_view envelope, const std::string& digest,
                                             const v1::TrustPolicy& policy,
                                             const v1::MachineConfig& node);

// Whether it is for this machine. FailedPrecondition: extension-name-mismatch,
// extension-wrong-architecture, extension-wrong-kernel.
absl::Status CheckFits(const sign::ExtensionManifest& manifest, const std::string& wanted_name,
                       const std::string& architecture, const std::string& kernel);
// "extension-wrong-kernel", with the names of both. `runs`: what has that kernel.
absl::Status CheckKernel(const sign::ExtensionManifest& manifest, const std::string& kernel,
                         const std::string& runs);

// No file in two of them, but the same. FailedPrecondition "extension-conflict".
absl::Status CheckConflicts(const std::vector<const sign::ExtensionManifest*>& manifests);
// `paths`, files of the root that this one would hide. The same code.
absl::Status RefuseOfRoot(const sign::ExtensionManifest& manifest,
                          const std::vector<std::string>& paths);

// `file`: where it lies.
host::ExtensionSource SourceOf(const sign::ExtensionManifest& manifest, const std::string& file);

}  // namespace basalt::extensions
