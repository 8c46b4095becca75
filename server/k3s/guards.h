// Is this machine enough for what the config asks? Below the recommendation is a warning, below
// half of it an error that the owner may override with a reason. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "basalt/v1/machine_config.pb.h"

namespace basalt::k3s {

struct MachineSize {
  int64_t memory = 0;  // bytes, nominal (rounded up to the module size)
  int cpus = 0;
  bool data_on_flash = false;
  int64_t free_bytes = -1;  // of the data directory; -1: unknown
};

struct GuardResult {
  std::vector<std::string> warnings;
  // FailedPrecondition "guard-memory", "guard-cpu", "guard-etcd-on-flash" or "guard-disk-space".
  absl::Status error;
};

// `download_bytes`: what has to be stored yet, 0 = unknown or nothing.
GuardResult CheckGuards(const v1::K3s& k3s, const MachineSize& machine, int64_t download_bytes);

// Embedded etcd loses its leader where a durable write takes too long: FailedPrecondition
// "guard-etcd-slow-disk". `median` of some writes of etcd's size.
absl::Status CheckEtcdDisk(const v1::K3s& k3s, absl::Duration median);
// Is that to be measured: K3s is to run embedded etcd, and nothing says to let it be?
bool WantsEtcdDisk(const v1::K3s& k3s);

}  // namespace basalt::k3s
