#include "server/controllers/install/layout.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "server/controllers/storage/selector.h"

namespace basalt::install {
namespace {

constexpr uint64_t kEsp = 512 * kMebibyte, kSlot = 1024 * kMebibyte, kState = 256 * kMebibyte;

// "EFI system partition", C12A7328-F81F-11D2-BA4B-00A0C93EC93B as it lies on a disk.
constexpr uint8_t kEfiSystem[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                                    0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};

// Version and variant of a UUID that somebody made up (RFC 9562).
void MakeUuid(uint8_t* id, uint8_t version) {
  id[7] = static_cast<uint8_t>((id[7] & 0x0f) | version << 4);
  id[8] = static_cast<uint8_t>((id[8] & 0x3f) | 0x80);
}

// Little-endian, as everything in a FAT.
void Put(std::string& out, size_t at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out[at + i] = static_cast<char>(value >> (8 * i));
}

}  // namespace

absl::StatusOr<Layout> LayOut(const host::BlockDisk& disk, uint64_t data_limit) {
  Layout out;
  uint64_t at = kMebibyte;
  int number = 0;
  auto place = [&](const char* name, uint64_t size) {
    Place p{.number = ++number, .name = name, .start = at, .size = size};
    at += size;
    return p;
  };
  out.esp = place("ESP", kEsp);
  out.slot_a = place("SLOT-A", kSlot);
  out.slot_b = place("SLOT-B", kSlot);
  out.state = place("STATE", kState);
  // The last mebibyte holds the table's second copy.
  const uint64_t end = disk.size / kMebibyte * kMebibyte;
  if (end < at + kSmallestData + kMebibyte) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "disk-too-small",
                      absl::StrCat(storage::Describe(disk), " is too small: the image wants ",
                                   storage::SizeText(at + kSmallestData + kMebibyte)),
                      "another disk in system.install.disk");
  }
  uint64_t room = end - kMebibyte - at;
  if (data_limit > 0)
    room = std::min(room, std::max(data_limit / kMebibyte * kMebibyte, kSmallestData));
  out.data = place("DATA", room);
  return out;
}

gpt::Table MakeInstalledTable(const host::BlockDisk& disk, const Layout& layout,
                              absl::string_view id, absl::string_view ids) {
  gpt::Table table;
  gpt::MakeTable({disk.sector, disk.size / disk.sector},
                 reinterpret_cast<const uint8_t*>(id.data()), &table);
  for (const Place& place : {layout.esp, layout.slot_a, layout.slot_b, layout.state, layout.data}) {
    const size_t i = static_cast<size_t>(place.number - 1);
    gpt::Partition& p = table.partition[i];
    memcpy(p.type, i == 0 ? kEfiSystem : gpt::kLinuxData, sizeof p.type);
    memcpy(p.id, ids.data() + 16 * i, sizeof p.id);
    MakeUuid(p.id, 4);
    p.first = place.start / disk.sector;
    p.last = (place.start + place.size) / disk.sector - 1;
    gpt::SetName(&p, place.name);
  }
  return table;
}

std::string InstallId(absl::string_view cluster, absl::string_view name, int64_t epoch,
                      int64_t generation) {
  const std::string text =
      absl::StrCat("basalt-install/v1\n", cluster, "\n", name, "\n", epoch, "\n", generation, "\n");
  const Digest digest = Sha256(text);
  std::string id(reinterpret_cast<const char*>(digest.bytes.data()), 16);
  MakeUuid(reinterpret_cast<uint8_t*>(id.data()), 8);
  return id;
}

// Microsoft's "FAT: General Overview of On-Disk Format", 1.03.
std::string MakeFat32(uint64_t size, uint32_t sector, uint32_t volume_id) {
  constexpr uint64_t kReserved = 32, kFats = 2, kCluster = 4096;
  const uint64_t total = size / sector, per_cluster = std::max<uint64_t>(1, kCluster / sector);
  const uint64_t entries = sector / 4;  // of a FAT, in a sector
  const uint64_t fat =
      (total - kReserved + per_cluster * entries + kFats - 1) / (per_cluster * entries + kFats);
  std::string out((kReserved + kFats * fat + per_cluster) * sector, '\0');
  memcpy(out.data(),
         "\xeb\x58\x90"
         "basalt  ",
         11);  // a jump over the parameters, to nothing
  Put(out, 11, sector, 2);
  Put(out, 13, per_cluster, 1);
  Put(out, 14, kReserved, 2);
  Put(out, 16, kFats, 1);
  Put(out, 21, 0xf8, 1);  // a fixed disk
  Put(out, 24, 63, 2);    // a geometry, which nobody heeds
  Put(out, 26, 255, 2);
  Put(out, 32, total, 4);
  Put(out, 36, fat, 4);
  Put(out, 44, 2, 4);  // the root directory's cluster
  Put(out, 48, 1, 2);  // FSInfo
  Put(out, 50, 6, 2);  // the copy of this sector
  Put(out, 64, 0x80, 1);
  Put(out, 66, 0x29, 1);
  Put(out, 67, volume_id, 4);
  memcpy(out.data() + 71, "ESP        FAT32   ", 19);
  Put(out, 510, 0xaa55, 2);
  const size_t info = sector;
  const uint64_t clusters = (total - kReserved - kFats * fat) / per_cluster;
  memcpy(out.data() + info, "RRaA", 4);
  memcpy(out.data() + info + 484, "rrAa", 4);
  Put(out, info + 488, clusters - 1, 4);  // free
  Put(out, info + 492, 3, 4);             // the next of them
  Put(out, info + 508, 0xaa550000, 4);
  memcpy(out.data() + 6 * sector, out.data(), 2 * sector);
  for (uint64_t i = 0; i < kFats; ++i) {
    const size_t at = (kReserved + i * fat) * sector;
    Put(out, at, 0x0ffffff8, 4);
    Put(out, at + 4, 0x0fffffff, 4);
    Put(out, at + 8, 0x0fffffff, 4);  // the root directory ends where it begins
  }
  char* root = out.data() + (kReserved + kFats * fat) * sector;
  memcpy(root, "ESP        \x08", 12);
  return out;
}

}  // namespace basalt::install
