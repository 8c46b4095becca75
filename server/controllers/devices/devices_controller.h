// `system.udevRules`: links to devices and their modes, kept as the rules say while devices come
// and go; names of disks by id, always. See README.md. Loop thread only.
#pragma once

#include <memory>

#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/block.h"
#include "server/host/devices.h"
#include "server/host/vfs.h"

namespace basalt::devices {

inline constexpr char kControllerName[] = "devices";
// What was made, for a noded that starts anew: "link NAME NODE", "mode NODE MODE OWNER GROUP" (as
// it was before). In memory, like /dev.
inline constexpr char kRecordFile[] = "run/devices";

struct DevicesDeps {
  engine::Executor& executor;
  host::Vfs& vfs;
  std::shared_ptr<host::Devices> devices;
  std::shared_ptr<host::BlockDevices> block;  // for names by id; null: none
};

class DevicesController : public engine::Controller {
 public:
  // Looks at the devices now and whenever one comes or goes.
  virtual void Start() = 0;
};

std::unique_ptr<DevicesController> MakeDevicesController(const DevicesDeps& deps);

}  // namespace basalt::devices
