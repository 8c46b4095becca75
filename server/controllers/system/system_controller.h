// The system controller: the name of the machine, modules, settings, clock, authorities. See
// server/controllers/system/README.md.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/controllers/system/console_page.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/clock.h"
#include "server/host/gateway.h"
#include "server/host/kernel.h"
#include "server/host/platform.h"
#include "server/host/screen.h"
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
  host::Screen& screen;
  host::Platform& platform;  // is asked to reboot inside a maintenance window
  host::Supervisor& supervisor;
  bool has_watchdog = false;  // noded-init has opened one
  absl::Time build_time;
  std::string time_program;          // absolute path of chronyd
  host::Gateway* gateway = nullptr;  // null: nobody looks at it
};

class SystemController : public engine::Controller {
 public:
  // Keeps the clock also while there is no config, looks for drift, and shows `facts` on the
  // screen. After the node has started: then it knows what the config asks for.
  virtual void Start(std::function<ConsoleFacts()> facts) = 0;
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
  // May K3s start although the clock is not synchronised? It was allowed, and has waited for it.
  virtual bool UnsyncedAllowed() const = 0;
  // May noded prove that it is alive? Not once what the watchdog looks at as well has failed.
  virtual bool MayFeed() const = 0;
};

std::unique_ptr<SystemController> MakeSystemController(const SystemDeps& deps);

}  // namespace basalt::system
