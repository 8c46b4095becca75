#include "images/builder/medium.h"

#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "images/builder/formats/gpt.h"
#include "images/builder/formats/iso.h"
#include "images/builder/formats/little_endian.h"

namespace basalt::image {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
// FAT32 has at least 65525 clusters, here of 512 bytes; what is free beyond the files is for what
// `nodectl image write` puts there.
constexpr uint64_t kSmallestEsp = 40, kFreeOnEsp = 8;

}  // namespace

absl::Status MakeMedium(const Tools& tools, MediumSpec spec) {
  spec.esp.push_back({"basalt/installer", spec.title + "\n"});
  uint64_t bytes = 0;
  for (const EspFile& f : spec.esp) bytes += RoundUp(f.content.size(), 4096);
  uint64_t esp_size =
      std::max(kSmallestEsp, RoundUp(bytes, kMebibyte) / kMebibyte + kFreeOnEsp) * kMebibyte;
  std::string esp = spec.scratch + "/medium-esp";
  if (absl::Status s = MakeEsp(tools, esp, esp_size / kMebibyte, spec.scratch, spec.esp); !s.ok())
    return s;
  struct stat slot;
  if (stat(spec.slot.c_str(), &slot) != 0) {
    return absl::NotFoundError(absl::StrCat("io-failed: cannot read ", spec.slot));
  }
  uint64_t slot_size = static_cast<uint64_t>(slot.st_size);
  uint64_t esp_at = kMebibyte, slot_at = esp_at + esp_size;
  uint64_t size = slot_at + RoundUp(slot_size, kMebibyte) + kMebibyte;
  absl::StatusOr<PartitionTable> table =
      MakeGpt(size / kSectorSize, GuidOf(spec.id),
              {{.name = "ESP",
                .type = PartitionType::kEfiSystem,
                .id = GuidOf(spec.id + " ESP"),
                .first_sector = esp_at / kSectorSize,
                .sectors = esp_size / kSectorSize},
               {.name = "SLOT-A",
                .id = GuidOf(spec.id + " SLOT-A"),
                .first_sector = slot_at / kSectorSize,
                .sectors = RoundUp(slot_size, kMebibyte) / kSectorSize}});
  if (!table.ok()) return table.status();
  absl::StatusOr<std::string> iso =
      MakeIso({.volume = "BASALT",
               .size = size,
               .esp = esp_at,
               .files = {{"ESP.IMG", esp_at, esp_size}, {"SLOT.IMG", slot_at, slot_size}},
               .readme = absl::StrCat(
                   spec.title,
                   "\r\n\r\nStart a machine from this disc or stick by UEFI. Nothing on its disks "
                   "is touched by that.\r\nTo a stick it is copied as it is, byte by byte.\r\n"),
               .time = tools.time()});
  if (!iso.ok()) return iso.status();
  if (absl::Status s = MakeSparse(spec.path, size); !s.ok()) return s;
  if (absl::Status s = WriteAt(spec.path, 0, table->start); !s.ok()) return s;
  if (absl::Status s = WriteAt(spec.path, kIsoAt, *iso); !s.ok()) return s;
  if (absl::Status s = CopySparse(esp, spec.path, esp_at); !s.ok()) return s;
  if (absl::Status s = CopySparse(spec.slot, spec.path, slot_at); !s.ok()) return s;
  return WriteAt(spec.path, size - table->end.size(), table->end);
}

}  // namespace basalt::image
