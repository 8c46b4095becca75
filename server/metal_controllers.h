// The controllers that a node has on a machine of its own, beside K3s, and what they ask the kernel
// with. A sandbox has none of them: its network, disks and kernel are somebody else's. Loop thread,
// but for its making.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/controllers/extensions/extensions_controller.h"
#include "server/controllers/network/network_controller.h"
#include "server/controllers/storage/storage_controller.h"
#include "server/controllers/system/system_controller.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/engine/node.h"
#include "server/host/clock.h"
#include "server/host/kernel.h"
#include "server/host/packet_filter.h"
#include "server/host/platform.h"
#include "server/host/screen.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"
#include "server/host/wireguard.h"
#include "server/update/image_controller.h"

namespace basalt {

class MetalControllers {
 public:
  // What all of them are made of; outlives them.
  struct Parts {
    engine::Executor& executor;
    host::Vfs& vfs;
    host::Clock& clock;
    host::Platform& platform;
    host::Supervisor& supervisor;
    bool has_watchdog = false;  // PID 1 has one
    std::string dhcp_hook;
    std::string fetch_program;
    std::function<const v1::TrustPolicy&()> policy;
  };
  static absl::StatusOr<std::unique_ptr<MetalControllers>> Make(const Parts& parts);

  // In the order in which a config is carried out: what boots decides what the rest is; the network
  // before the disks, so that a disk that fails does not take away the way to the node.
  std::vector<engine::Controller*> all() const;
  void OnServiceEvent(const host::ServiceEvent& event);
  // When the node has begun to carry out its config, if it has one.
  void Start(engine::Executor& executor, bool configured);

  // What a boot on trial waits for: that another image than the config's runs is no fault of the
  // one that does.
  std::vector<engine::Condition> TrialConditions(const engine::Controller& k3s) const;
  // An order: see ImageController.
  void RollBackImage(const v1::Action& action, engine::Done done);
  // For K3s: that the clock may be anybody's guess.
  bool UnsyncedAllowed() const;
  // From now on the screen shows what the node says of itself.
  void ShowConsole(engine::Node& node, std::function<std::vector<std::string>()> endpoints);

 private:
  const host::Platform* platform_ = nullptr;
  std::unique_ptr<update::ImageController> image_;
  std::unique_ptr<host::Kernel> kernel_;
  std::unique_ptr<extensions::ExtensionsController> extensions_;
  std::unique_ptr<host::Screen> screen_;
  std::unique_ptr<system::SystemController> system_;
  std::unique_ptr<storage::StorageController> storage_;
  std::unique_ptr<host::Network> kernel_network_;
  std::unique_ptr<host::PacketFilter> packet_filter_;
  std::unique_ptr<host::Wireguard> wireguard_;
  std::unique_ptr<network::NetworkController> network_;
};

}  // namespace basalt
