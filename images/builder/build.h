// All steps from a recipe to a disk, in order. What is made lies in `out` under names that start
// with "basalt-VERSION-PROFILE".
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "images/builder/recipe.h"
#include "images/builder/secure_boot.h"
#include "machineconfig/sign/keys.h"

namespace basalt::image {

struct BuildOptions {
  std::string profile;
  std::string recipe;    // directory
  std::string programs;  // directory with our own build
  std::string cache;     // of packages; may be shared by builds, one at a time
  std::string out;
  std::string version;
  int epoch = 1;
  absl::Time time;
  int tries = 0;                          // of the boot entry; 0: it is not counted
  std::string trust;                      // a trust policy for the boot partition; "" for none
  uint64_t data_limit_mib = 0;            // DATA grows no further at the first boot; 0: to the end
  bool disk = true;                       // .raw and .qcow2
  bool medium = false;                    // .iso
  bool accept_nonfree = false;            // firmware of `include-nonfree` comes along
  std::string encryption;                 // of STATE and DATA: tpm2, node, none; "": by the machine
  const sign::PrivateKey* key = nullptr;  // signs the manifest
  SecureBoot secure_boot;
  bool oci = false;  // the root as a container: image and bundle
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

struct BuildResult {
  std::string disk, qcow2, medium, manifest;  // "": not asked for
  uint64_t slot_size = 0, kernel_size = 0;
};

// Reasons: those of the steps; over-budget, faults (the image would break a promise), no-licence,
// stale-lock (recipe and lock name different packages), nonfree, other-kernel (the kernel is not of
// its modules' release).
absl::StatusOr<BuildResult> BuildImage(const BuildOptions& options);

// Reads files of a recipe, and no others.
ReadRecipeFile RecipeDirectory(const std::string& directory);
std::string LockPath(const BuildOptions& options);

// Writes PROFILE.lock anew from what the archive has now.
absl::Status UpdateLock(const BuildOptions& options);

// The root file system of a slot, unpacked into a directory, against the list of contents that its
// build wrote, and against every promise again. Reasons: faults.
absl::Status CheckRoot(const std::string& directory, const std::string& contents,
                       const std::string& architecture);

}  // namespace basalt::image
