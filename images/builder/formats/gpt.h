// The partition table of the disk (UEFI 2.10, chapter 5): protective MBR, primary and backup GPT.
// GUIDs come from the caller, so the same image has the same table. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::image {

inline constexpr uint64_t kSectorSize = 512;

using Guid = std::array<uint8_t, 16>;  // as it lies on the disk

enum class PartitionType { kEfiSystem, kLinuxData };

struct Partition {
  std::string name;  // at most 36 ASCII characters
  PartitionType type = PartitionType::kLinuxData;
  Guid id{};
  uint64_t first_sector = 0;
  uint64_t sectors = 0;
};

struct PartitionTable {
  std::string start;  // the first 34 sectors of the disk
  std::string end;    // its last 33 sectors
};

// Reasons: bad-partition (name, overlap, outside the disk).
absl::StatusOr<PartitionTable> MakeGpt(uint64_t disk_sectors, const Guid& disk_id,
                                       const std::vector<Partition>& partitions);

// Names one partition in the MBR of a table too, as FAT32, for firmware that knows no GPT. Who
// knows one sees by the first entry that it counts; that entry says "all of the disk", whatever its
// size, so that nothing here has to follow a disk that grows.
void AddToMbr(PartitionTable& table, const Partition& partition);

// A GUID (version 8, of our own making) from what names the thing.
Guid GuidOf(absl::string_view name);

}  // namespace basalt::image
