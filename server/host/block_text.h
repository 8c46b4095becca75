// What the kernel and disks say of themselves, as text and bytes. Pure; never more than was given.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/host/block.h"

namespace basalt::host {

// A name in /sys/class/block that may be a disk for data.
bool HoldsData(absl::string_view name);

std::vector<BlockMount> ParseMounts(absl::string_view mounts);  // /proc/self/mounts
std::vector<SwapArea> ParseSwaps(absl::string_view swaps);      // /proc/swaps

// SCSI VPD pages: the unit's serial number (SPC-4, 7.8.15), and the model of an ATA disk as it
// identifies itself (SAT-3, 12.4.2: IDENTIFY DEVICE data, words 27 to 46). "" when there is none.
std::string SerialOfPage80(absl::string_view page);
std::string ModelOfPage89(absl::string_view page);

// The first page of a swap area of `size` bytes (linux/swap.h, version 1).
std::string SwapHeader(uint64_t size);

}  // namespace basalt::host
