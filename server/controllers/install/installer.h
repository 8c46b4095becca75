// An image put onto a disk, from the medium that runs. Waits for disks: on the pool, in two parts,
// since a file system for STATE is made by a program in between.
//
//   written, in this order, each durable      a power cut after it
//   --------------------------------------    ---------------------------------------------------
//   "being formatted" at the disk's end       the disk is as it was, or as if it were blank
//   zeros over its old tables                 nothing starts from it: the medium does, and the
//   the slot; read back, hashed block by      install is done again
//   block; a boot partition with its files;
//   marks for DATA; STATE with identity,
//   trust, and the document as staged
//   the new table, the copy at the end first  it starts, as the node that the medium was
//   "being formatted" is taken away           the same
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/controllers/install/install_plan.h"
#include "server/controllers/install/partition_reset.h"
#include "server/controllers/install/slot_check.h"
#include "server/host/block.h"
#include "server/host/vfs.h"

namespace basalt::install {

// What the medium has.
struct MediumPlaces {
  std::string slot;  // device
  std::string esp;   // device
  std::string running_root;
};

struct InstallJob {
  InstallPlan plan;
  MediumPlaces medium;
  std::string random;  // 16 bytes for each partition, and 4
};

using Progress = std::function<void(const std::string& what, int64_t done, int64_t total)>;

// Everything before STATE's file system. The device of STATE then.
absl::StatusOr<std::string> WriteDisk(host::BlockDevices& block, const OpenFiles& fat_files,
                                      const InstallJob& job, const Progress& progress);

// STATE has an empty ext4: `state_files` opens it. `node` is the root of the running node's files.
absl::Status FinishDisk(host::BlockDevices& block, const OpenFiles& state_files,
                        const InstallJob& job, host::Vfs& node);

// All files below state/ of the running node, and the document that is under way as one that waits
// for the next start. Durable.
absl::Status CopyState(host::Vfs& node, host::Vfs& state, uint64_t data_limit);

}  // namespace basalt::install
