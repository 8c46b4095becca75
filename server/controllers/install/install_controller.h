// The one controller of a node that runs from an install medium: it puts itself onto the disk that
// `system.install` names. What else a config says is carried out by the node that starts from
// there, which finds the document as staged. Loop thread; what waits for disks is on the pool.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "server/controllers/install/installer.h"
#include "server/controllers/storage/tools.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/clock.h"
#include "server/host/vfs.h"

namespace basalt::install {

struct InstallDeps {
  engine::Executor& executor;
  host::Vfs& vfs;
  host::Random& random;
  std::shared_ptr<host::BlockDevices> block;
  storage::Tools* tools = nullptr;
  OpenFiles fat_files, ext4_files;
  MediumPlaces medium;
  std::string no_medium;  // why its places are not known; "" when they are
};

class InstallController : public engine::Controller {
 public:
  // Begins to look at the disks; until then a plan is Unavailable "disks-not-read".
  virtual void Start() = 0;
  // For the screen: that a node is installed already, what is being done, what went wrong. "" else.
  virtual std::string Note() const = 0;
};

std::unique_ptr<InstallController> MakeInstallController(InstallDeps deps);

}  // namespace basalt::install
