#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/host/platform.h"

namespace basalt::host {
namespace {

// MemTotal is what the kernel left of the modules; firmware, the kernel and a GPU take up to an
// eighth. A "2 GB" board shows 1.8 GiB: guards compare the nominal size, so it is rounded up to 256
// MiB below 1 GiB, to 512 MiB below 4 GiB and to 1 GiB above.
int64_t NominalMemory(int64_t total) {
  constexpr int64_t kMi = 1 << 20;
  int64_t step = total <= 1024 * kMi ? 256 * kMi : total <= 4096 * kMi ? 512 * kMi : 1024 * kMi;
  return (total + step - 1) / step * step;
}

int64_t MemTotal() {
  std::ifstream in("/proc/meminfo");
  std::string line;
  while (std::getline(in, line)) {
    if (line.rfind("MemTotal:", 0) != 0) continue;
    std::istringstream words(line.substr(9));
    int64_t kib = 0;
    words >> kib;
    return kib * 1024;
  }
  return 0;
}

// The numbers of the machine's own namespaces: pid since Linux 3.8, the others since 6.18
// (linux/nsfs.h); before, only PID 1's can be compared with.
constexpr ino_t kMachinePid = 0xEFFFFFFC, kMachineNet = 0xEFFFFFF9, kMachineMount = 0xEFFFFFF8;

ino_t NamespaceOf(const char* process, const char* kind) {
  struct stat info {};
  return stat(absl::StrCat("/proc/", process, "/ns/", kind).c_str(), &info) == 0 ? info.st_ino : 0;
}

// Does this directory lie on an SD card or eMMC? Partitions of one are below the card's own device.
bool OnFlash(const std::string& directory) {
  struct stat info {};
  if (stat(directory.c_str(), &info) != 0) return false;
  std::error_code error;
  const std::string device = std::filesystem::read_symlink(
      absl::StrCat("/sys/dev/block/", major(info.st_dev), ":", minor(info.st_dev)), error);
  return !error && IsFlashDevice(device);
}

std::string Architecture() {
  utsname name{};
  uname(&name);
  std::string machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine.rfind("arm", 0) == 0) return "arm";
  return machine;
}

class SandboxPlatform : public Platform {
 public:
  explicit SandboxPlatform(const SandboxOptions& options) : options_(options) {
    paths_ = {.root = options.root, .state = "state", .data = "data", .run = "run", .etc = "etc"};
    hardware_.architecture = Architecture();
    hardware_.memory_total = NominalMemory(MemTotal());
    hardware_.data_on_flash = OnFlash(options.root);
    hardware_.cpus = static_cast<int>(std::thread::hardware_concurrency());
  }
  std::string name() const override { return "sandbox"; }
  const NodePaths& paths() const override { return paths_; }
  const Hardware& hardware() const override { return hardware_; }
  std::string k3s_address() const override { return options_.k3s_address; }
  bool k3s_confined() const override { return true; }
  bool owns_namespaces() const override { return options_.own_namespaces; }
  std::string Unimplemented(const std::string& section) const override {
    if (section == "system" || section == "network" || section == "storage") {
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

bool IsFlashDevice(absl::string_view device) { return absl::StrContains(device, "/mmc_host/"); }

std::unique_ptr<Platform> MakeSandbox(const SandboxOptions& options) {
  return std::make_unique<SandboxPlatform>(options);
}

}  // namespace basalt::host
