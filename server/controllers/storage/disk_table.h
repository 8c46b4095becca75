// The table of a disk, read and written through host::BlockDevices, and the partitions of volumes
// in it. On the pool; one caller a disk at a time.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/gpt/gpt.h"
#include "server/host/block.h"

namespace basalt::storage {

// "/dev/sda" → "/dev/sda3", "/dev/nvme0n1" → "/dev/nvme0n1p3".
std::string PartitionDevice(const std::string& disk, int number);

// NotFound: there is none. DataLoss: damaged. Unimplemented: of other dimensions. Unavailable: the
// disk cannot be read.
// `both_copies`: nothing has to be written for their sake; may be null.
absl::Status ReadTable(host::BlockDevices& block, const host::BlockDisk& disk, gpt::Table* table,
                       bool* both_copies = nullptr);

// Writes the copy that is damaged, or not where the disk ends, from the one that counts.
absl::Status MendTable(host::BlockDevices& block, const host::BlockDisk& disk);

// A partition at this place, which is free, marked as "being formatted" before the table has it;
// a disk without a table gets one, and is marked in the same way while that is written. `id`: 16
// random bytes, `disk_id` for a new table. Its device. May be repeated after a power cut only with
// the place found anew.
absl::StatusOr<std::string> AddVolume(host::BlockDevices& block, const host::BlockDisk& disk,
                                      const std::string& name, uint64_t start, uint64_t size,
                                      const std::string& id, const std::string& disk_id);

// In the table and in the kernel; the file system comes after. Larger only.
absl::Status ResizeVolume(host::BlockDevices& block, const host::BlockDisk& disk, int number,
                          uint64_t size);

// The partition with that id (32 hex digits) and what it held; it is not mounted. OK when there is
// none.
absl::Status RemoveVolume(host::BlockDevices& block, const host::BlockDisk& disk,
                          const std::string& id);

// After the first mount: from now on it holds something.
absl::Status RemoveMark(host::BlockDevices& block, const std::string& device, uint64_t size);
// Before a format.
absl::Status SetMark(host::BlockDevices& block, const std::string& device, uint64_t size);

}  // namespace basalt::storage
