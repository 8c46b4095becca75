#include "images/builder/sysroot.h"

#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "images/builder/host.h"
#include "images/builder/packages.h"

namespace basalt::image {
namespace {

namespace fs = std::filesystem;

std::string LockPath(const SysrootOptions& o) {
  return absl::StrCat(o.recipe, "/sysroot-", o.architecture, ".lock");
}

PackageStore Store(const Tools& tools, const SysrootOptions& o) {
  return PackageStore(tools, o.cache, absl::StrCat(o.recipe, "/debian.sources"), o.architecture);
}

// A linker follows "/lib/x.so.1" on this machine: made relative it stays inside.
absl::Status MakeLinksRelative(const std::string& root) {
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(root, error)) {
    if (!entry.is_symlink()) continue;
    fs::path target = fs::read_symlink(entry.path(), error);
    if (!target.is_absolute()) continue;
    fs::path inside = fs::path(root) / target.relative_path();
    fs::remove(entry.path(), error);
    if (absl::Status s =
            MakeSymlink(inside.lexically_relative(entry.path().parent_path()), entry.path());
        !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status UpdateSysrootLock(const SysrootOptions& o) {
  if (absl::Status s = MakeDirectories(o.cache); !s.ok()) return s;
  Tools tools(o.time);
  absl::StatusOr<std::vector<LockedPackage>> packages = Store(tools, o).ResolveClosure(o.packages);
  if (!packages.ok()) return packages.status();
  o.say(absl::StrCat("wrote ", LockPath(o), ": ", packages->size(), " packages"));
  return WriteWhole(LockPath(o), FormatLock(*packages));
}

absl::StatusOr<bool> MakeSysroot(const SysrootOptions& o) {
  absl::StatusOr<std::string> text = ReadWhole(LockPath(o));
  if (!text.ok()) return text.status();
  absl::StatusOr<std::vector<LockedPackage>> locked = ParseLock(*text);
  if (!locked.ok()) return locked.status();
  std::set<std::string> have;
  for (const LockedPackage& p : *locked) have.insert(p.name);
  for (const std::string& name : o.packages) {
    if (have.count(name) == 0) {
      return absl::FailedPreconditionError(absl::StrCat("stale-lock: ", LockPath(o), " lacks ",
                                                        name,
                                                        "; run ./dev image --profile P "
                                                        "--update-lock"));
    }
  }
  std::string stamp = o.out + "/.lock";
  if (absl::StatusOr<std::string> made = ReadWhole(stamp); made.ok() && *made == *text)
    return false;
  Tools tools(o.time);
  PackageStore store = Store(tools, o);
  if (absl::Status s = MakeDirectories(o.cache); !s.ok()) return s;
  o.say(absl::StrCat("sysroot: ", locked->size(), " packages of Debian for ", o.architecture));
  if (absl::Status s = store.Fetch(*locked); !s.ok()) return s;
  if (absl::Status s = RemoveTree(o.out); !s.ok()) return s;
  if (absl::Status s = MakeDirectories(o.out); !s.ok()) return s;
  for (const LockedPackage& p : *locked) {
    if (absl::Status s = store.UnpackInto(p, o.out); !s.ok()) return s;
  }
  if (absl::Status s = MakeLinksRelative(o.out); !s.ok()) return s;
  if (absl::Status s = WriteWhole(stamp, *text); !s.ok()) return s;
  return true;
}

}  // namespace basalt::image
