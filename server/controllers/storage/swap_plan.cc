#include "server/controllers/storage/swap_plan.h"

#include "machineconfig/format/quantity.h"

namespace basalt::storage {
namespace {

constexpr uint64_t kPage = 4096;
constexpr int64_t kDefaultPercent = 50;

uint64_t Pages(absl::string_view quantity) {
  const auto bytes = format::ParseQuantity(quantity);
  return bytes.ok() ? static_cast<uint64_t>(*bytes) / kPage * kPage : 0;
}

}  // namespace

SwapPlan SwapOf(const v1::Storage& storage, int64_t memory) {
  SwapPlan plan;
  if (storage.has_swap()) {
    plan.file = Pages(storage.swap().size());
    if (storage.swap().has_swappiness()) {
      plan.swappiness = static_cast<int>(storage.swap().swappiness());
    }
  }
  if (storage.has_zram()) {
    const v1::Zram& zram = storage.zram();
    const int64_t percent =
        zram.amount_case() == v1::Zram::kPercent ? zram.percent() : kDefaultPercent;
    plan.zram =
        zram.amount_case() == v1::Zram::kSize
            ? Pages(zram.size())
            : static_cast<uint64_t>(memory) / 100 * static_cast<uint64_t>(percent) / kPage * kPage;
    plan.algorithm = zram.has_algorithm() ? zram.algorithm() : "zstd";
  }
  return plan;
}

bool IsActive(const StorageFacts& facts, const std::string& path, uint64_t size) {
  for (const host::SwapArea& area : facts.swaps) {
    if (area.path == path && area.size + kPage == size) return true;
  }
  return false;
}

bool IsAnyActive(const StorageFacts& facts, const std::string& path) {
  for (const host::SwapArea& area : facts.swaps) {
    if (area.path == path) return true;
  }
  return false;
}

}  // namespace basalt::storage
