// An extension: an add-on of the image that is packed, verified and signed like it. What it is made
// of is `extensions/NAME.list`, in the words of the recipe (recipe.h): programs with the libraries
// that the root lacks, files, links, modules of the profile's kernel; all below /usr, which it is
// laid over.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "images/builder/build.h"
#include "images/builder/recipe.h"
#include "images/builder/tree.h"
#include "machineconfig/sign/extension_manifest.h"

namespace basalt::image {

struct ExtensionResult {
  std::string file, manifest;
  uint64_t size = 0;
};

// Makes basalt-NAME-VERSION-ARCHITECTURE.extension and what tells of it, on the profile's root and
// kernel. `options.trust`, `tries`, `epoch` and `data_limit_mib` are not looked at. Reasons: those
// of the steps; faults; stale-lock; bad-recipe (a path outside /usr, a word that only an image
// has).
absl::StatusOr<ExtensionResult> BuildExtension(const BuildOptions& options,
                                               const std::string& name);

// Writes extensions/NAME.ARCHITECTURE.lock anew.
absl::Status UpdateExtensionLock(const BuildOptions& options, const std::string& name);

// Pure. The list `extensions/NAME.list` as a recipe of its own, on the base's architecture; without
// a kernel, which is the base's.
absl::StatusOr<Recipe> ReadExtensionRecipe(const Recipe& base, const std::string& name,
                                           const ReadRecipeFile& read);
// Pure. What `whole` (the base with the extension in it) has more than `base`, with the directories
// above it.
Tree Difference(const Tree& whole, const Tree& base);
// Pure. The document of type `image`, kind Extension, as YAML that is JSON.
std::string FormatExtensionManifest(const sign::ExtensionManifest& manifest);

}  // namespace basalt::image
