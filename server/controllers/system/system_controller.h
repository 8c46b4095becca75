// The system controller: the name of the machine, modules, settings, clock, authorities. See
// server/controllers/system/README.md.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/clock.h"
#include "server/host/kernel.h"
#include "server/host/platform.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"
#include "server/host/wall_clock.h"

namespace basalt::system {

struct SystemDeps {
  engine::Executor& executor;
  host::Vfs& vfs;
  host::Clock& clock;
  host::WallClock& wall_clock;
  host::Kernel& kernel;
  const host::Platform& platform;
  host::Supervisor& supervisor;
  absl::Time build_time;
  std::string time_program;  // absolute path of chronyd
};

class SystemController : public engine::Controller {
 public:
  // Keeps the clock also while there is no config, and looks for drift. After the node has started:
  // then it knows whom the config asks for the time.
  virtual void Start() = 0;
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
  // May K3s start although the clock is not synchronised? It was allowed, and has waited for it.
  virtual bool UnsyncedAllowed() const = 0;
};

std::unique_ptr<SystemController> MakeSystemController(const SystemDeps& deps);

}  // namespace basalt::system
