// What is done with images beside making one.
#include <elf.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "images/builder/build.h"
#include "images/builder/host.h"
#include "images/builder/lock.h"
#include "images/builder/packages.h"
#include "images/builder/tree.h"

namespace basalt::image {

ReadRecipeFile RecipeDirectory(const std::string& directory) {
  return [directory](absl::string_view name) -> absl::StatusOr<std::string> {
    if (absl::StrContains(name, "..") || absl::StartsWith(name, "/")) {
      return absl::InvalidArgumentError(
          absl::StrCat("bad-recipe: ", name, " is not a file of the recipe"));
    }
    return ReadWhole(absl::StrCat(directory, "/", name));
  };
}

std::string LockPath(const BuildOptions& o) {
  return absl::StrCat(o.recipe, "/", o.profile, ".lock");
}

absl::Status UpdateLock(const BuildOptions& options) {
  absl::StatusOr<Recipe> recipe =
      ReadRecipe(options.profile, RecipeDirectory(options.recipe), /*nonfree=*/true);
  if (!recipe.ok()) return recipe.status();
  if (absl::Status s = MakeDirectories(options.cache); !s.ok()) return s;
  Tools tools(options.time);
  PackageStore store(tools, options.cache, absl::StrCat(options.recipe, "/debian.sources"),
                     recipe->architecture);
  absl::StatusOr<std::vector<LockedPackage>> packages = store.Resolve(*recipe);
  if (!packages.ok()) return packages.status();
  options.say(absl::StrCat("wrote ", LockPath(options), ": ", packages->size(), " packages"));
  return WriteWhole(LockPath(options), FormatLock(*packages));
}

absl::Status CheckRoot(const std::string& directory, const std::string& contents,
                       const std::string& architecture) {
  absl::StatusOr<Tree> tree = ReadTree(directory);
  if (!tree.ok()) return tree.status();
  absl::StatusOr<std::string> expected = ReadWhole(contents);
  if (!expected.ok()) return expected.status();
  // Our own programs are held to more than Debian's; where a file came from is in the list alone.
  for (absl::string_view line : absl::StrSplit(*expected, '\n')) {
    std::vector<std::string> columns = absl::StrSplit(line, '\t');
    if (columns.size() > 5 && tree->count(columns[0]) > 0) (*tree)[columns[0]].from = columns[5];
  }
  std::vector<std::string> faults = CompareContents(*expected, FormatContents(*tree));
  for (std::string& fault : FindFaults(*tree, architecture == "amd64" ? EM_X86_64 : EM_AARCH64))
    faults.push_back(std::move(fault));
  if (faults.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("faults:\n  ", absl::StrJoin(faults, "\n  ")));
}

}  // namespace basalt::image
