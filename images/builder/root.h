// From a recipe and its packages to the tree of the root file system.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "images/builder/kernel_modules.h"
#include "images/builder/packages.h"
#include "images/builder/recipe.h"
#include "images/builder/tree.h"

namespace basalt::image {

// What an image says of itself.
struct ImageInfo {
  std::string version;  // "0.1.0"
  int epoch = 0;        // only ever rises: an older one may be refused
  absl::Time time;      // of the sources, not of the build
  std::string kernel;   // release of the kernel

  std::string OsRelease(
      const Recipe& recipe) const;               // /usr/lib/os-release, and in the kernel image
  std::string Json(const Recipe& recipe) const;  // /usr/lib/basalt/image.json
};

struct RootSources {
  const PackageFiles& packages;
  const KernelModules& modules;
  // A program of our own build, stripped.
  std::function<absl::StatusOr<std::string>(absl::string_view)> program;
  ReadRecipeFile recipe_file;
};

// Every program brings the libraries that it needs; a library that no package of the recipe has is
// an error and names who wants it. `base`: what is there already, of an image that this is an
// extension of; libraries and modules that it has are not added again. Reasons also: no-library,
// no-such-file, bad-source.
absl::StatusOr<Tree> AssembleRoot(const Recipe& recipe, const ImageInfo& info,
                                  const RootSources& sources, Tree base = {});

// All authorities of Debian's ca-certificates in one file, by name.
absl::StatusOr<std::string> AuthorityBundle(const PackageFiles& packages);

}  // namespace basalt::image
