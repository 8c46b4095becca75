// What programs for another architecture are compiled against: Debian's development packages with
// all that they depend on, pinned like those of an image, unpacked over one another into a
// directory. No root, and this machine's dpkg never hears of the other architecture.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace basalt::image {

struct SysrootOptions {
  std::string architecture;           // as Debian calls it
  std::vector<std::string> packages;  // what our build wants
  std::string recipe;                 // directory
  std::string cache;                  // of packages
  std::string out;
  absl::Time time;
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

// Writes sysroot-ARCHITECTURE.lock anew from what the archive has now.
absl::Status UpdateSysrootLock(const SysrootOptions& options);

// Makes `out` what the lock says. True when it was something else before, so that nothing compiled
// against it may be kept. Reasons: stale-lock, and those of PackageStore.
absl::StatusOr<bool> MakeSysroot(const SysrootOptions& options);

}  // namespace basalt::image
