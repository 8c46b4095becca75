// Swap: a file on DATA, and memory that is compressed. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "basalt/v1/storage.pb.h"
#include "server/controllers/storage/facts.h"

namespace basalt::storage {

inline constexpr char kZramDevice[] = "/dev/zram0";
inline constexpr int kZramPriority = 100;  // before the file, which has none

struct SwapPlan {
  uint64_t file = 0;  // bytes; 0: none
  uint64_t zram = 0;
  std::string algorithm;
  std::optional<int> swappiness;
  bool operator==(const SwapPlan&) const = default;
};

// `memory` in bytes. Sizes are whole pages.
SwapPlan SwapOf(const v1::Storage& storage, int64_t memory);

// Is the area at `path` in use with that size? The first page of it is its header.
bool IsActive(const StorageFacts& facts, const std::string& path, uint64_t size);
bool IsAnyActive(const StorageFacts& facts, const std::string& path);

}  // namespace basalt::storage
