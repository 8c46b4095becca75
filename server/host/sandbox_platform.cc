#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/host/hardware.h"
#include "server/host/platform.h"

namespace basalt::host {
namespace {

// The numbers of the machine's own namespaces: pid since Linux 3.8, the others since 6.18
// (linux/nsfs.h); before, only PID 1's can be compared with.
constexpr ino_t kMachinePid = 0xEFFFFFFC, kMachineNet = 0xEFFFFFF9, kMachineMount = 0xEFFFFFF8;

ino_t NamespaceOf(const char* process, const char* kind) {
  struct stat info {};
  return stat(absl::StrCat("/proc/", process, "/ns/", kind).c_str(), &info) == 0 ? info.st_ino : 0;
}

class SandboxPlatform : public Platform {
 public:
  explicit SandboxPlatform(const SandboxOptions& options) : options_(options) {
    paths_ = {.root = options.root, .state = "state", .data = "data", .run = "run", .etc = "etc"};
    hardware_ = MeasureHardware(options.root);
  }
  std::string name() const override { return "sandbox"; }
  const NodePaths& paths() const override { return paths_; }
  const Hardware& hardware() const override { return hardware_; }
  std::string k3s_address() const override { return options_.k3s_address; }
  bool k3s_confined() const override { return true; }
  bool owns_namespaces() const override { return options_.own_namespaces; }
  std::string Unimplemented(const std::string& section) const override {
    if (section == "system" || section == "system.image" || section == "network" ||
        section == "storage") {
      return "the sandbox has no machine of its own";
    }
    if (section == "audit") return "this release of noded keeps no audit log";
    return "";
  }
  absl::Status Reboot() override {
    return absl::UnimplementedError("the sandbox cannot reboot the machine that it runs on");
  }

 private:
  SandboxOptions options_;
  NodePaths paths_;
  Hardware hardware_;
};

}  // namespace

absl::Status CheckOwnNamespaces() {
  // In a pid namespace of its own PID 1 is the node's.
  const bool sees_machine = NamespaceOf("self", "pid") == kMachinePid;
  const std::pair<const char*, ino_t> kinds[] = {{"mnt", kMachineMount}, {"net", kMachineNet}};
  for (const auto& [kind, machine] : kinds) {
    const ino_t own = NamespaceOf("self", kind);
    if (own != machine && !(sees_machine && own == NamespaceOf("1", kind))) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("the ", kind, " namespace of this process is the machine's"));
  }
  return absl::OkStatus();
}

std::unique_ptr<Platform> MakeSandbox(const SandboxOptions& options) {
  return std::make_unique<SandboxPlatform>(options);
}

}  // namespace basalt::host
