// The node: ties trust, generations, journal and controllers together and owns the life of an
// apply. Implements NodeApi. Constructed and started on the loop thread; NodeApi's methods from any
// thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/engine/log_sources.h"
#include "server/engine/machine_orders.h"
#include "server/engine/node_api.h"
#include "server/host/clock.h"
#include "server/host/platform.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"
#include "server/trust/identity.h"
#include "server/trust/sealing_key.h"
#include "server/trust/trust_store.h"

namespace basalt::engine {

struct NodeDeps {
  Executor& executor;
  host::Vfs& vfs;
  host::Clock& clock;
  host::Random& random;
  host::Platform& platform;
  host::Supervisor& supervisor;
  const trust::Identity& identity;
  const trust::SealingKey& sealing;
  trust::TrustStore& trust;
  std::vector<Controller*> controllers;
  std::string version;  // of the product
  absl::Time build_time;
  bool installer = false;  // runs from an install medium: nothing that it keeps outlives its power
  // Called on the loop when the API must be served otherwise. An error fails the execute.
  std::function<absl::Status(const ApiPolicy&)> set_api_policy;
  std::function<std::vector<std::string>()> endpoints;
  // Where the API will be with this config, as far as that is known: told before the config is
  // executed, because an address that goes takes the caller's connection with it. May be empty.
  std::function<std::vector<std::string>(const v1::MachineConfig&)> endpoints_with = {};
  // Kubeconfig and service restarts belong to a controller; the engine only guards them.
  std::function<absl::StatusOr<std::string>(absl::Duration)> kubeconfig;
  std::function<absl::Status(const std::string&)> restart_service;
  // The same of images: back to the one in the other slot. The engine restarts the machine when it
  // is done. Null where no order can do that.
  std::function<void(const v1::Action&, Done)> roll_back_image;
  MachineOrders* machine_orders = nullptr;  // null in a sandbox
  // Of the medium that the machine was started from; "" when nobody gave it one. A first config may
  // name it as its target.
  std::string medium_id = {};
  // Beside those of controllers.
  std::function<std::vector<Condition>()> alarms = {};
  LogSources* logs =
      nullptr;  // of the kernel and of the disk; null where the machine is somebody else's
};

class Node : public NodeApi {
 public:
  // Reads trust, generations and journal, and resumes or reverts what was under way. Never fails
  // for damaged generations: falls back, loudly.
  virtual absl::Status Start() = 0;
  virtual ApiPolicy api_policy() const = 0;
  // Services started, became ready or exited: whoever drains Supervisor::event_fd() says so. Loop
  // thread.
  virtual void OnServiceEvents() = 0;
  // A condition that whoever gives the node its first config wants shown. An empty reason takes it
  // away. Loop thread.
  virtual void Tell(const std::string& type, const std::string& reason,
                    const std::string& message) = 0;
  // What Logs answers, for what forwards it; not what lies on disk. Loop thread.
  virtual absl::StatusOr<LogChunk> ReadLog(const LogQuery& query) = 0;
  // Masks the secrets of every config that may have been written of. FailedPrecondition
  // "logs-not-maskable": `text` must not be given out. Loop thread.
  virtual absl::Status MaskLog(std::string& text) const = 0;
};

std::unique_ptr<Node> MakeNode(NodeDeps deps);

}  // namespace basalt::engine
