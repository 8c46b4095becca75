#include "tests/support/network/network_namespace.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace basalt::testing {

std::string Shell(const std::string& command) {
  FILE* pipe = popen(
      absl::StrCat("export PATH=/usr/sbin:/sbin:$PATH; { ", command, "; } 2>&1").c_str(), "r");
  std::string out;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  return pclose(pipe) == 0 ? out : absl::StrCat("failed: ", out);
}

std::string EnterNetworkNamespace() {
  if (geteuid() != 0) return "namespaces need root";
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
    return absl::StrCat("no namespaces here: ", std::strerror(errno));
  }
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "mounts stay shared";
  if (mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0) return "no sysfs";
  const std::string up = Shell("ip link set lo up");
  return up.empty() ? "" : absl::StrCat("no iproute2: ", up);
}

}  // namespace basalt::testing
