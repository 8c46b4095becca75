// STATE and DATA of the node's own disk, marked to be made anew by the next boot (noded-init obeys:
// server/gpt/wipe_order.h, server/init/boot/volume.h), and what outlives STATE, laid down on the
// boot partition. Waits for disks: on the pool.
//
//   written, each durable    a power cut after it
//   ---------------------    ------------------------------------------------------------------
//   carried/ on the ESP      nothing has happened; a STATE that has trust never looks there
//   DATA: order, mark        DATA is made anew, STATE and its journal say that there is more to do
//   STATE: order, mark       all of it is made anew
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/machine_orders.h"
#include "server/host/block.h"
#include "server/host/vfs.h"

namespace basalt::install {

// Files of a partition, by its device, as long as the object lives.
using OpenFiles =
    std::function<absl::StatusOr<std::shared_ptr<host::Vfs>>(const std::string& device)>;

inline constexpr char kCarriedOnEsp[] = "basalt/carried";

// `esp`: device of the boot partition; its disk is the node's own. Reasons of FailedPrecondition:
// no-partition, wipe-unsupported (the disk forgets nothing), not-encrypted.
absl::Status CheckPartitions(host::BlockDevices& block, const std::string& esp,
                             const engine::ResetSpec& spec);

// May be repeated.
absl::Status MarkPartitions(host::BlockDevices& block, const OpenFiles& files,
                            const std::string& esp, const engine::ResetSpec& spec,
                            const engine::Carried& carried, const std::string& image_record);

// At a start with a fresh STATE, before anything is read from it: what noded-init found on the ESP
// (/run/carried) becomes a part of it. Durable; may be repeated.
absl::Status TakeCarried(host::Vfs& vfs);

}  // namespace basalt::install
