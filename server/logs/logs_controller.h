// `system.logs`: lines of the kernel and of services, sent away and kept on disk, and read back for
// `nodectl logs`. See server/logs/README.md. Loop thread, but for Stored.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/engine/log_sources.h"
#include "server/host/clock.h"
#include "server/host/kernel_log.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"
#include "server/logs/collector.h"

namespace basalt::logs {

inline constexpr char kControllerName[] = "logs";

struct LogsDeps {
  engine::Executor& executor;
  host::Vfs& vfs;
  host::Clock& clock;
  host::Supervisor& supervisor;
  host::KernelLog& kernel;
  std::string wire_program;  // absolute path of noded-wire
};

class LogsController : public engine::Controller, public engine::LogSources {
 public:
  // Collects from now on, by what the node gives out: masked. After the node has started.
  virtual void Start(Collector::Read read, Collector::Mask mask) = 0;
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
};

std::unique_ptr<LogsController> MakeLogsController(const LogsDeps& deps);

}  // namespace basalt::logs
