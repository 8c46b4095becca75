// Disks on a command line and on the screen. Pure.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "basalt/v1/resource.pb.h"

namespace basalt::client {

// "serial=S64DNX0R", "type=nvme,minSize=100G", "/dev/sdb" (a path), "nvme-Samsung_..." (an id): the
// fields of a DiskSelector by name. InvalidArgument "bad-disk-selector".
absl::StatusOr<std::map<std::string, std::string>> ParseSelector(absl::string_view text);

// Could the selector mean this disk? Of a model with `*` and of sizes only the node can tell.
bool MayMean(const std::map<std::string, std::string>& selector, const v1::Disk& disk);

// "/dev/sdb (ssd, 500 GB, Samsung SSD 870, S5Y1): DATA, longhorn"
std::string DiskLine(const v1::Disk& disk);

}  // namespace basalt::client
