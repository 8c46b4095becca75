#include "machineconfig/medium/partitions.h"

#include <zlib.h>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt::medium {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint32_t kEntrySize = 128, kMostEntries = 128;

absl::Status None(absl::string_view why) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "no-partition-table",
                    absl::StrCat("no partition table (GPT): ", why));
}

uint32_t Sum(const std::string& data) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size())));
}

}  // namespace

absl::StatusOr<std::vector<Partition>> ReadPartitions(Bytes& disk) {
  absl::StatusOr<std::string> head = disk.Read(kSector, kSector);
  if (!head.ok() || head->substr(0, 8) != "EFI PART") return None("there is none at its place");
  const uint32_t head_size = Little(*head, 12, 4), entries = Little(*head, 80, 4);
  if (head_size < 92 || head_size > kSector || Little(*head, 84, 4) != kEntrySize || entries == 0 ||
      entries > kMostEntries) {
    return None("of other dimensions than ours");
  }
  std::string summed = head->substr(0, head_size);
  PutLittle(summed, 16, 4, 0);
  if (Sum(summed) != Little(*head, 16, 4)) return None("its sum is wrong");
  const uint64_t at = Little64(*head, 72);
  if (at > disk.size() / kSector) return None("it reaches beyond the end");
  absl::StatusOr<std::string> table = disk.Read(at * kSector, entries * kEntrySize);
  if (!table.ok() || Sum(*table) != Little(*head, 88, 4)) return None("its sum is wrong");
  std::vector<Partition> out;
  for (size_t i = 0; i < entries; ++i) {
    const std::string entry = table->substr(i * kEntrySize, kEntrySize);
    if (entry.find_first_not_of('\0') >= 16) continue;
    const uint64_t first = Little64(entry, 32), last = Little64(entry, 40);
    if (last < first || last >= disk.size() / kSector) return None("a partition lies outside");
    Partition& p = out.emplace_back();
    p.start = first * kSector;
    p.size = (last - first + 1) * kSector;
    for (size_t c = 56; c < kEntrySize && Little(entry, c, 2) != 0; c += 2) {
      const uint32_t code = Little(entry, c, 2);
      p.name.push_back(code >= 0x20 && code < 0x7f ? static_cast<char>(code) : '?');
    }
  }
  return out;
}

}  // namespace basalt::medium
