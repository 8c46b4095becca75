// Which disk a config means. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "basalt/v1/storage.pb.h"
#include "server/host/block.h"

namespace basalt::storage {

// All that is said is true of this disk. `*` in a model stands for any text.
bool Matches(const v1::DiskSelector& selector, const host::BlockDisk& disk);

// The only disk that it matches; never a guess among several. FailedPrecondition
// "disk-not-found" or "disk-ambiguous", with the disks that there are; `field` is the selector's
// path in the config.
absl::StatusOr<host::BlockDisk> SelectDisk(const v1::DiskSelector& selector,
                                           const std::vector<host::BlockDisk>& disks,
                                           const std::string& field);

// "/dev/sda (ssd, 500 GB, Samsung SSD 870 EVO, S5Y1NX0R)": for a person who chooses.
std::string Describe(const host::BlockDisk& disk);

std::string SizeText(uint64_t bytes);             // "100 GiB", "512 MiB", rounded down
absl::string_view TypeName(host::DiskType type);  // as the config spells it; "" for kOther

}  // namespace basalt::storage
