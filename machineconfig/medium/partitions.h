// The partitions of a disk's GPT (UEFI 2.10, chapter 5.3), for whoever only wants to know where
// they lie: the one at the begin, its sums checked. The node changes tables with server/gpt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "machineconfig/medium/bytes.h"

namespace basalt::medium {

struct Partition {
  std::string name;    // ASCII, "?" for what is not
  uint64_t start = 0;  // bytes
  uint64_t size = 0;
  bool operator==(const Partition&) const = default;
};

// By their place in the table; sectors of 512 bytes. InvalidArgument/"no-partition-table".
absl::StatusOr<std::vector<Partition>> ReadPartitions(Bytes& disk);

}  // namespace basalt::medium
