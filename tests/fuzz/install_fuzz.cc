// What an install reads of a medium that may hold anything: the root that is named, the superblock
// and the hash tree of a slot. Nothing is taken for whole but what hashes to the root.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "server/controllers/install/slot_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  auto spec = install::ParseSlotSpec(text.substr(0, line));
  if (!spec.ok() || spec->blocks > 64 || line == std::string::npos) return 0;
  std::string slot = text.substr(line + 1);
  slot.resize(spec->size(), '\0');
  uint64_t told = 0;
  absl::Status good = install::CheckSlot(
      *spec,
      [&](uint64_t at, size_t n) -> absl::StatusOr<std::string> {
        if (at > slot.size() || n > slot.size() - at) std::abort();  // beyond what it said it has
        return slot.substr(at, n);
      },
      [&](uint64_t bytes) { told = std::max(told, bytes); });
  if (told > spec->size()) std::abort();
  // Somebody who makes the bytes cannot make the hash.
  if (good.ok() && spec->root_hash == std::string(64, '0')) std::abort();
  return 0;
}
