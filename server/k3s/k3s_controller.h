// The K3s controller: artifacts, rendering, supervision, the readiness ladder. See
// server/k3s/README.md.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/clock.h"
#include "server/host/platform.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"

namespace basalt::k3s {

struct K3sDeps {
  engine::Executor& executor;
  host::Vfs& vfs;
  host::Clock& clock;
  host::Random& random;
  const host::Platform& platform;
  host::Supervisor& supervisor;
  std::string fetch_program;  // absolute path of noded-fetch
  // May K3s start although the clock is not synchronised? Empty: no.
  std::function<bool()> unsynced_allowed = {};
};

class K3sController : public engine::Controller {
 public:
  // A supervisor event or wake-up that may concern K3s; the owner of the event pump calls it.
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
  // Admin kubeconfig of a server, valid for 8 hours. FailedPrecondition "k3s-not-server" or
  // "k3s-not-ready".
  virtual absl::StatusOr<std::string> Kubeconfig(absl::Duration validity) = 0;
  // Restarts K3s, pods stay. FailedPrecondition when none is configured.
  virtual absl::Status Restart() = 0;
};

std::unique_ptr<K3sController> MakeK3sController(const K3sDeps& deps);

}  // namespace basalt::k3s
