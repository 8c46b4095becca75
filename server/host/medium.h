// An install medium: a disk or disc with a boot partition and one slot, from which the system that
// runs was started. Found as boot_disk.h finds the disk of a node, and never the same as one: that
// has two slots.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/host/boot_disk.h"

namespace basalt::host {

// `slot_b` is empty. FailedPrecondition "no-boot-slots": it was not started from such a medium.
absl::StatusOr<BootDiskPlaces> FindMedium(const std::string& root, unsigned root_major,
                                          unsigned root_minor);

}  // namespace basalt::host
