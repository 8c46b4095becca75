// Which files of a kernel package a list of modules means, in the order in which they load. What
// depends on what is read from the modules themselves, so nothing that `depmod` computes is needed.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::image {

class KernelModules {
 public:
  // `root` is the unpacked package; there must be one kernel in it. Reasons: no-kernel, io-failed.
  static absl::StatusOr<KernelModules> Open(const std::string& root);

  const std::string& release() const { return release_; }  // "6.1.0-56-cloud-amd64"
  std::string KernelFile() const;                          // vmlinuz on this machine

  struct File {
    std::string name;
    std::string path;  // as on the image: /usr/lib/modules/RELEASE/kernel/...
    std::string file;  // on this machine
  };
  // The modules and all that they need, each behind what it needs; what is built in is left out.
  // Reasons: no-module, bad-module (a circle, no ELF file, no signature, another release).
  absl::StatusOr<std::vector<File>> Closure(const std::vector<std::string>& names) const;

 private:
  std::string root_, release_;
  std::map<std::string, std::string, std::less<>>
      files_;  // name to path below /usr/lib/modules/RELEASE
  std::set<std::string, std::less<>> built_in_;
};

// Module names are written with '-' and '_' alike.
std::string ModuleName(absl::string_view text);

}  // namespace basalt::image
