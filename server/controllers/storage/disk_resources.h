// What a node tells of its disks. Pure.
#pragma once

#include <vector>

#include "basalt/v1/resource.pb.h"
#include "server/controllers/storage/facts.h"
#include "server/controllers/storage/volume_plan.h"

namespace basalt::storage {

// The kind Disk: each disk, with what a selector can say of it, and what it holds.
std::vector<v1::Resource> DiskResources(const StorageFacts& facts, const VolumeRecord& record);

}  // namespace basalt::storage
