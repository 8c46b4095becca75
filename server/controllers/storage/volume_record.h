// Which partitions are volumes of this node: what it made or mounted. Kept on STATE, so that
// nothing is ever removed from a disk that this node has not had.
#pragma once

#include "absl/status/status.h"
#include "server/controllers/storage/volume_plan.h"
#include "server/host/vfs.h"

namespace basalt::storage {

inline constexpr char kRecordPath[] = "state/volumes";

// Lines of "ID NAME". What is no such line is dropped: then a volume is not known, and not removed.
VolumeRecord ParseRecord(absl::string_view text);
std::string ToText(const VolumeRecord& record);

VolumeRecord LoadRecord(host::Vfs& vfs);
// Writes nothing when it is the same.
absl::Status StoreRecord(host::Vfs& vfs, const VolumeRecord& record);

}  // namespace basalt::storage
