// The real parts: Linux's devices, noded-fetch, this machine's firmware; and all of it together for
// a node on metal.
#pragma once

#include <memory>
#include <string>

#include "server/engine/executor.h"
#include "server/engine/node.h"
#include "server/first/asker.h"
#include "server/first/first_config.h"
#include "server/first/media.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"

namespace basalt::first {

class OneShotAsker : public Asker {
 public:
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
};
std::unique_ptr<OneShotAsker> MakeAsker(engine::Executor& executor, host::Supervisor& supervisor,
                                        const std::string& fetch_program);

// `boot_partition`: "/dev/vda1"; "" when there is none. `mount_at`: where it is mounted to be
// changed. `root`: where /sys and /dev are found, "" but in tests.
std::unique_ptr<Media> MakeMedia(std::string boot_partition, std::string mount_at,
                                 std::string root = "");

// What this machine says of itself. `root`: "" but in tests.
MachineFacts ReadMachineFacts(const std::string& root);

// The boot partition of the disk that the root lies on; "" when there is none.
std::string FindBootPartition();

// Before the node's keys are loaded, while it has no config: which medium it was started from, and
// that medium's key is kept. Says on the console what could not be kept.
std::string TakeMedium(host::Vfs& vfs, const std::string& boot_partition);

class MetalFirst {
 public:
  MetalFirst(engine::Executor& executor, host::Supervisor& supervisor, engine::Node& node,
             const std::string& boot_partition, const std::string& fetch_program);
  void Start() { first_.Start(); }
  void OnServiceEvent(const host::ServiceEvent& event) { asker_->OnServiceEvent(event); }

 private:
  std::unique_ptr<OneShotAsker> asker_;
  std::unique_ptr<Media> media_;
  FirstConfig first_;
};

}  // namespace basalt::first
