// The storage controller: volumes, swap, compressed memory, the size of DATA. See README.md.
#pragma once

#include <memory>
#include <string>

#include "server/controllers/storage/tools.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/block.h"
#include "server/host/clock.h"
#include "server/host/platform.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"

namespace basalt::storage {

struct StorageDeps {
  engine::Executor& executor;
  host::Vfs& vfs;
  host::Clock& clock;
  host::Random& random;
  const host::Platform& platform;
};

// What reaches outside, so that tests replace it.
struct StorageParts {
  std::shared_ptr<host::BlockDevices> block;  // work in the pool may outlive the controller
  std::unique_ptr<Tools> tools;
};

class StorageController : public engine::Controller {
 public:
  // Begins to look at the disks, and to watch them. Until they were seen a plan is Unavailable
  // "disks-not-read".
  virtual void Start() = 0;
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
  // Somebody else changed what disks hold.
  virtual void LookAgain() = 0;
};

std::unique_ptr<StorageController> MakeStorageController(const StorageDeps& deps,
                                                         StorageParts parts);

}  // namespace basalt::storage
