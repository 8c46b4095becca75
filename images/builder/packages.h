// Debian packages as files: found by apt in an archive of our own choosing (recipe/debian.sources,
// with Debian's keyring), kept by sha256, unpacked without running anything of theirs. Needs no
// root and touches nothing of this machine's own apt or dpkg.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "images/builder/host.h"
#include "images/builder/lock.h"
#include "images/builder/recipe.h"

namespace basalt::image {

class PackageStore {
 public:
  PackageStore(const Tools& tools, std::string cache, std::string sources, std::string architecture)
      : tools_(tools),
        cache_(std::move(cache)),
        sources_(std::move(sources)),
        architecture_(std::move(architecture)) {}

  // What the archive offers now for the recipe's packages; for `kernel` the package that it depends
  // on. Needs the network. Reasons: tool-failed, bad-stanza, no-kernel.
  absl::StatusOr<std::vector<LockedPackage>> Resolve(const Recipe& recipe);

  // What the archive offers now for these names and for everything that they depend on, to compile
  // against. Needs the network. Reasons: tool-failed, bad-stanza.
  absl::StatusOr<std::vector<LockedPackage>> ResolveClosure(const std::vector<std::string>& names);

  // Downloads those that the cache lacks. Reasons: tool-failed, package-gone (the archive has other
  // bytes, or none of that version).
  absl::Status Fetch(const std::vector<LockedPackage>& packages);

  // Where the files of a fetched package are. Reasons: tool-failed.
  absl::StatusOr<std::string> Unpack(const LockedPackage& package);
  // Into a directory that others are unpacked into as well. Reasons: package-gone, tool-failed.
  absl::Status UnpackInto(const LockedPackage& package, const std::string& directory);

 private:
  std::string DebPath(const LockedPackage& package) const;
  absl::StatusOr<std::vector<std::string>> AptOptions();  // makes the private apt's directories
  // A stanza for each name.
  absl::StatusOr<std::vector<std::string>> Show(const std::vector<std::string>& names);
  absl::Status RefreshIndex();  // once

  const Tools& tools_;
  std::string cache_, sources_, architecture_;
  bool index_is_fresh_ = false;
};

// The unpacked packages of one image, as one file system would see them: /bin, /sbin and /lib are
// below /usr, whichever a package says.
class PackageFiles {
 public:
  explicit PackageFiles(std::string triplet) : triplet_(std::move(triplet)) {}
  void Add(const std::string& package, const std::string& directory);

  // The file on this machine; links inside the package are followed. Reasons: no-such-file.
  absl::StatusOr<std::string> Find(absl::string_view package, absl::string_view path) const;
  // Names in a directory of a package, sorted. Reasons: no-such-file.
  absl::StatusOr<std::vector<std::string>> List(absl::string_view package,
                                                absl::string_view path) const;
  // Regular files below a directory of a package, by their paths there, sorted. Reasons:
  // no-such-file.
  absl::StatusOr<std::vector<std::string>> ListBelow(absl::string_view package,
                                                     absl::string_view path) const;

  struct Library {
    std::string package;
    std::string file;  // on this machine
  };
  // nullptr when no package has it.
  const Library* FindLibrary(const std::string& name) const;
  // The package's directory, "" when it is not there.
  std::string Directory(absl::string_view package) const;

 private:
  std::string triplet_;
  std::map<std::string, std::string, std::less<>> directories_;
  std::map<std::string, Library> libraries_;
};

}  // namespace basalt::image
