// A node without its API and engine: the K3s controller on a real executor, over the real
// supervisor, below a directory of its own and on a loopback address of its own. The loop runs in a
// thread; every call here may come from the test's.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "basalt/v1/machine_config.pb.h"
#include "server/engine/real_executor.h"
#include "server/host/platform.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"
#include "server/k3s/k3s_controller.h"
#include "tests/component/init/real_init.h"

namespace basalt::testing {

class SandboxNode {
 public:
  explicit SandboxNode(const std::string& name, bool own_namespaces = false);
  ~SandboxNode();  // full stop, then everything is removed

  const std::string& address() const { return address_; }
  const std::string& root() const { return root_; }
  // A resolved config of this node that runs the double.
  v1::MachineConfig Config(v1::K3sRole role) const;

  absl::Status Prepare(const v1::MachineConfig& to);
  absl::Status Execute(const v1::MachineConfig* to);
  absl::Status Restart();
  absl::StatusOr<std::string> Kubeconfig();
  v1::K3sStatus Status();
  std::vector<engine::Condition> Conditions();
  // Waits for changes until `wanted` holds; false after a minute.
  bool Await(const std::function<bool(const v1::K3sStatus&, const std::vector<engine::Condition>&)>&
                 wanted);
  bool AwaitReady();
  // The condition of that type as soon as it has a code; its code.
  std::string AwaitCode(const std::string& type, const std::string& code);
  // noded is replaced: a new controller over the same supervisor.
  void ReplaceController();

 private:
  absl::Status Wait(const std::function<void(engine::Done)>& begin);
  void OnLoop(const std::function<void()>& fn);
  void MakeController();
  void Start();
  void Stop();
  void Pump();

  std::string name_, root_, address_;
  RealInit init_;
  RelayedNoded noded_;
  std::unique_ptr<engine::RealExecutor> executor_;
  std::unique_ptr<host::Supervisor> supervisor_;
  std::unique_ptr<host::Vfs> vfs_;
  std::unique_ptr<host::Platform> platform_;
  std::unique_ptr<k3s::K3sController> controller_;
  std::thread loop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t changes_ = 0;
  uint64_t last_seq_ = 0;
};

std::string FileDigest(const std::string& path);

}  // namespace basalt::testing
