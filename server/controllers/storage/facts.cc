#include "server/controllers/storage/facts.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/controllers/storage/disk_table.h"
#include "server/gpt/format_mark.h"
#include "server/unlock/layout.h"
#include "server/unlock/luks_header.h"

namespace basalt::storage {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kBtrfsMirror = 64 << 20;

bool AllZero(absl::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

uint64_t Number32(absl::string_view bytes, size_t at) {
  uint32_t number = 0;
  memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

// Bytes of an ext4, from its superblock.
uint64_t SizeOfExt4(host::BlockDevices& block, const std::string& disk, uint64_t start) {
  auto super = block.Read(disk, start, 4096);
  if (!super.ok()) return 0;
  const absl::string_view at = absl::string_view(*super).substr(1024, 1024);
  const uint64_t shift = Number32(at, 24);
  const bool wide = (Number32(at, 96) & 0x80) != 0;  // feature 64bit
  if (shift > 6) return 0;
  return (Number32(at, 4) | (wide ? Number32(at, 0x150) << 32 : 0)) * (1024U << shift);
}

// Bytes of the disk from `start` on, for `size`.
Content ContentOf(host::BlockDevices& block, const std::string& disk, uint64_t start,
                  uint64_t size) {
  if (size < 2 * kMebibyte) return Content::kOther;
  constexpr size_t kMark = sizeof gpt::kFormatMark;
  // A disk wants whole sectors at whole places; the mark is at one.
  auto mark = block.Read(disk, start + size - gpt::kMarkDistance, 4096);
  if (!mark.ok()) return Content::kOther;
  if (memcmp(mark->data(), gpt::kFormatMark, kMark) == 0) return Content::kUnfinished;
  auto head = block.Read(disk, start, kMebibyte);
  if (!head.ok()) return Content::kOther;
  if (head->substr(0, sizeof unlock::kLuksMagic - 1) == unlock::kLuksMagic) return Content::kLuks;
  if ((*head)[1024 + 56] == '\x53' && (*head)[1024 + 57] == '\xef') return Content::kExt4;
  if (!AllZero(*head)) return Content::kOther;
  auto tail = block.Read(disk, start + size - kMebibyte, kMebibyte);
  if (!tail.ok() || !AllZero(*tail)) return Content::kOther;
  if (size > kBtrfsMirror + kMebibyte) {
    auto mirror = block.Read(disk, start + kBtrfsMirror, 64 << 10);
    if (!mirror.ok() || !AllZero(*mirror)) return Content::kOther;
  }
  return Content::kBlank;
}

LockFacts LockOf(host::BlockDevices& block, const std::string& disk, uint64_t start) {
  LockFacts facts;
  facts.text = "damaged";
  auto bytes = block.Read(disk, start, unlock::kBothHeaders);
  if (!bytes.ok()) return facts;
  auto header = unlock::ParseHeader(*bytes);
  if (!header.ok()) return facts;
  facts.text = unlock::KeyText(*header);
  facts.keyslots = static_cast<int>(header->keyslots.size());
  facts.recovery = header->TokenOf(unlock::kPassphraseToken) >= 0;
  for (const auto& [type, key] :
       {std::pair{unlock::kTpm2Token, LockFacts::Key::kTpm2},
        std::pair{unlock::kNodeToken, LockFacts::Key::kNode},
        std::pair{unlock::kStateToken, LockFacts::Key::kState},
        std::pair{unlock::kPassphraseToken, LockFacts::Key::kPassphrase}}) {
    if (facts.key == LockFacts::Key::kNone && header->TokenOf(type) >= 0) facts.key = key;
  }
  return facts;
}

// Of a partition that is not looked into further.
bool IsLocked(host::BlockDevices& block, const std::string& disk, uint64_t start) {
  auto head = block.Read(disk, start, 4096);
  return head.ok() && head->substr(0, sizeof unlock::kLuksMagic - 1) == unlock::kLuksMagic;
}

DiskFacts LookAtDisk(host::BlockDevices& block, const host::BlockDisk& disk) {
  DiskFacts facts;
  facts.disk = disk;
  auto table = std::make_unique<gpt::Table>();
  const absl::Status read = ReadTable(block, disk, table.get(), &facts.both_copies);
  if (absl::IsNotFound(read)) {
    facts.table = DiskFacts::Table::kNone;
    const Content content = ContentOf(block, disk.device, 0, disk.size);
    facts.blank =
        disk.partitions.empty() && (content == Content::kBlank || content == Content::kUnfinished);
    if (facts.blank && disk.size > 4 * kMebibyte) {
      facts.free_start = kMebibyte;
      facts.free_size = (disk.size / kMebibyte - 2) * kMebibyte;
    }
    return facts;
  }
  if (!read.ok()) return facts;
  facts.table = DiskFacts::Table::kGood;
  gpt::MoveToEnd(table.get());  // what a disk that grew has more is free
  uint64_t first = 0, last = 0;
  if (gpt::FreeBehind(*table, &first, &last)) {
    facts.free_start = first * disk.sector;
    facts.free_size = (last - first + 1) * disk.sector;
  }
  for (uint32_t i = 0; i < gpt::kPartitions; ++i) {
    const gpt::Partition& p = table->partition[i];
    if (!p.used()) continue;
    char name[gpt::kNameSize];
    gpt::NameOf(p, name);
    PartitionFacts partition;
    partition.at = {.number = static_cast<int>(i + 1),
                    .name = name,
                    .device = PartitionDevice(disk.device, static_cast<int>(i + 1)),
                    .start = p.first * disk.sector,
                    .size = (p.last - p.first + 1) * disk.sector};
    partition.id =
        absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(p.id), sizeof p.id));
    partition.room = (gpt::Room(*table, i) - p.first + 1) * disk.sector;
    if (!IsSystemPartition(partition.at.name)) {
      partition.content = ContentOf(block, disk.device, partition.at.start, partition.at.size);
      if (partition.content == Content::kExt4) {
        partition.file_system = SizeOfExt4(block, disk.device, partition.at.start);
      }
    } else if (IsLocked(block, disk.device, partition.at.start)) {
      partition.content = Content::kLuks;
    }
    if (partition.content == Content::kLuks) {
      partition.lock = LockOf(block, disk.device, partition.at.start);
    }
    facts.partitions.push_back(std::move(partition));
  }
  return facts;
}

}  // namespace

bool IsSystemPartition(const std::string& name) {
  static const std::set<std::string> kNames = {"ESP", "SLOT-A", "SLOT-B", "STATE", "DATA"};
  return kNames.count(name) > 0;
}

const DiskFacts* StorageFacts::Disk(const std::string& device) const {
  for (const DiskFacts& facts : disks) {
    if (facts.disk.device == device) return &facts;
  }
  return nullptr;
}

const DiskFacts* StorageFacts::DataDisk() const {
  for (const DiskFacts& facts : disks) {
    for (const PartitionFacts& partition : facts.partitions) {
      if (partition.at.device == data_device) return &facts;
    }
  }
  return nullptr;
}

const PartitionFacts* StorageFacts::Data() const {
  const DiskFacts* disk = DataDisk();
  for (size_t i = 0; disk != nullptr && i < disk->partitions.size(); ++i) {
    if (disk->partitions[i].at.device == data_device) return &disk->partitions[i];
  }
  return nullptr;
}

const PartitionFacts* StorageFacts::State() const {
  const DiskFacts* disk = DataDisk();
  for (size_t i = 0; disk != nullptr && i < disk->partitions.size(); ++i) {
    if (disk->partitions[i].at.name == "STATE") return &disk->partitions[i];
  }
  return nullptr;
}

const host::BlockMount* StorageFacts::MountOf(const std::string& device) const {
  for (const host::BlockMount& mount : mounts) {
    if (mount.source == device) return &mount;
  }
  return nullptr;
}

const host::BlockMount* StorageFacts::MountAt(const std::string& target) const {
  // The last one hides those before.
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    if (mount->target == target) return &*mount;
  }
  return nullptr;
}

absl::StatusOr<StorageFacts> LookAt(host::BlockDevices& block, const std::string& data_path,
                                    const StorageFacts* before) {
  StorageFacts facts;
  auto disks = block.Disks();
  if (!disks.ok()) return disks.status();
  auto mounts = block.Mounts();
  if (!mounts.ok()) return mounts.status();
  auto swaps = block.Swaps();
  if (!swaps.ok()) return swaps.status();
  facts.mounts = *std::move(mounts);
  facts.swaps = *std::move(swaps);
  facts.data_device = block.DeviceOf(data_path).value_or("");
  for (const host::BlockDisk& disk : *disks) {
    const DiskFacts* old = before != nullptr ? before->Disk(disk.device) : nullptr;
    facts.disks.push_back(old != nullptr && old->disk == disk ? *old : LookAtDisk(block, disk));
  }
  return facts;
}

}  // namespace basalt::storage
