// A disk, or the partition of a volume that no config mounts, is emptied: by a signed order, so
// that a volume or an image may be made there. Never the disk that the node runs from, nor what is
// in use. Waits for disks: on the pool.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/controllers/storage/facts.h"
#include "server/engine/reset_spec.h"
#include "server/host/block.h"

namespace basalt::install {

struct WipeTarget {
  std::string device;  // of the disk or the partition
  std::string disk;
  uint64_t size = 0;
  bool whole_disk = false;
  bool discards = false;
  std::string what;  // for a person: the disk, and what it holds by name
  std::vector<host::BlockPartition> partitions;  // of a whole disk, by its table or the kernel
};

// Pure. Errors: of SelectDisk; FailedPrecondition disk-of-the-image, disk-in-use, disk-read-only,
// volume-not-found, volume-ambiguous, volume-mounted, wipe-unsupported.
absl::StatusOr<WipeTarget> FindWipe(const engine::WipeSpec& spec,
                                    const storage::StorageFacts& facts, const std::string& esp);

// The names of what lies on a disk: "DATA, longhorn (ext4)"; "nothing".
std::string WhatItHolds(const storage::DiskFacts& facts);

// `progress` in percent, from the pool's thread. What was really done: "zeros over 500 GiB",
// "securely discarded", "discarded", "signatures and tables overwritten: what was there can be read
// back with tools", "keys of the encryption overwritten". May be repeated after a cut.
absl::StatusOr<std::string> DoWipe(host::BlockDevices& block, const WipeTarget& target,
                                   engine::WipeMethod method, std::function<void(int)> progress);

}  // namespace basalt::install
