// A node on a machine of its own: what noded has to ask of, and to tell, the noded-init that is
// PID 1.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/supervisor.h"

namespace basalt {

// How PID 1 found the machine. FailedPrecondition "not-pid1" when noded-init is not PID 1: nobody
// has mounted what this node would write to; "not-a-machine", "not-a-container": the platform is
// the other one, and would touch what is somebody else's, or leave what is its own.
absl::StatusOr<host::BootStatus> AskPid1(host::Supervisor& supervisor, bool container = false);

absl::Status NotBelowPid1();  // that error

// A machine without STATE has no identity, no trust and no config, and must not make new ones: it
// would be another node. Says why on the console, proves that it is alive (the watchdog would only
// bring it back to the same), and serves nothing. Until `termination_fd` is readable.
absl::Status WaitWithoutState(host::Supervisor& supervisor, const host::BootStatus& boot,
                              int termination_fd);

// Tells PID 1 that this boot is good: at once where boots are not counted; on a trial as soon as
// the API is up (this exists), STATE and DATA are there, and every condition that the config asks
// for holds. Until then PID 1 counts, and goes back by itself. Loop thread.
class BootHealth {
 public:
  using Conditions = std::function<std::vector<engine::Condition>()>;
  static constexpr absl::Duration kLookEvery = absl::Seconds(2);

  BootHealth(engine::Executor& executor, host::Supervisor& supervisor, host::BootStatus boot,
             Conditions conditions)
      : executor_(executor),
        supervisor_(supervisor),
        boot_(std::move(boot)),
        conditions_(std::move(conditions)) {}
  BootHealth(const BootHealth&) = delete;
  BootHealth& operator=(const BootHealth&) = delete;

  void Start() { Look(); }

 private:
  void Look();

  engine::Executor& executor_;
  host::Supervisor& supervisor_;
  const host::BootStatus boot_;
  const Conditions conditions_;
};

}  // namespace basalt
