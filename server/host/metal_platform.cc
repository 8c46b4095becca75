#include "server/host/hardware.h"
#include "server/host/platform.h"
#include "server/host/supervisor.h"

namespace basalt::host {
namespace {

class MetalPlatform : public Platform {
 public:
  explicit MetalPlatform(Supervisor& supervisor) : supervisor_(supervisor) {
    paths_ = {.root = "", .state = "state", .data = "data", .run = "run", .etc = "etc"};
    hardware_ = MeasureHardware("/data");
    IdentifyHardware("", &hardware_);
  }
  std::string name() const override { return "metal"; }
  const NodePaths& paths() const override { return paths_; }
  const Hardware& hardware() const override { return hardware_; }
  std::string k3s_address() const override { return "127.0.0.1"; }
  bool k3s_confined() const override { return false; }
  bool owns_namespaces() const override { return true; }
  bool hardened_kernel() const override { return true; }
  bool keeps_volumes_from_k3s() const override { return true; }
  std::string Unimplemented(const std::string& section) const override {
    if (section == "audit") return "this release of noded keeps no audit log";
    return "";
  }
  absl::Status Reboot() override { return supervisor_.EndMachine(/*reboot=*/true); }

 private:
  Supervisor& supervisor_;
  NodePaths paths_;
  Hardware hardware_;
};

}  // namespace

std::unique_ptr<Platform> MakeMetal(Supervisor& supervisor) {
  return std::make_unique<MetalPlatform>(supervisor);
}

}  // namespace basalt::host
