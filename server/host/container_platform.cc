#include "server/host/hardware.h"
#include "server/host/platform.h"
#include "server/host/supervisor.h"

namespace basalt::host {
namespace {

class ContainerPlatform : public Platform {
 public:
  ContainerPlatform(Supervisor& supervisor, bool own_namespaces)
      : supervisor_(supervisor), own_namespaces_(own_namespaces) {
    paths_ = {.root = "", .state = "state", .data = "data", .run = "run", .etc = "etc"};
    // Not who the machine is: serial and MACs are the host's, and a config is for the node.
    hardware_ = MeasureHardware("/data");
  }
  std::string name() const override { return "container"; }
  const NodePaths& paths() const override { return paths_; }
  const Hardware& hardware() const override { return hardware_; }
  std::string k3s_address() const override { return "127.0.0.1"; }
  bool k3s_confined() const override { return false; }
  bool owns_namespaces() const override { return own_namespaces_; }
  std::string Unimplemented(const std::string& section) const override {
    // What else a container cannot do its controller says by field.
    if (section == "audit") return "this release of noded keeps no audit log";
    return "";
  }
  absl::Status Reboot() override { return supervisor_.EndMachine(/*reboot=*/true); }

 private:
  Supervisor& supervisor_;
  const bool own_namespaces_;
  NodePaths paths_;
  Hardware hardware_;
};

}  // namespace

std::unique_ptr<Platform> MakeContainer(Supervisor& supervisor, bool own_namespaces) {
  return std::make_unique<ContainerPlatform>(supervisor, own_namespaces);
}

}  // namespace basalt::host
