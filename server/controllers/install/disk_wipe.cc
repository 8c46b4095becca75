#include "server/controllers/install/disk_wipe.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "server/controllers/storage/selector.h"
#include "server/gpt/wipe_order.h"

namespace basalt::install {
namespace {

using engine::WipeMethod;
using storage::DiskFacts;

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kBtrfsMirror = 64 << 20;
constexpr uint64_t kPiece = 256 << 20;

absl::Status No(absl::string_view code, const std::string& message, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, code, message, hint);
}

bool HasPartition(const DiskFacts& disk, const std::string& device) {
  return std::any_of(disk.partitions.begin(), disk.partitions.end(),
                     [&](const auto& p) { return p.at.device == device; }) ||
         std::any_of(disk.disk.partitions.begin(), disk.disk.partitions.end(),
                     [&](const auto& p) { return p.device == device; });
}

absl::Status CheckMethod(const WipeTarget& target, WipeMethod method) {
  if (method == WipeMethod::kDiscard && !target.discards) {
    return No("wipe-unsupported", absl::StrCat(target.disk, " does not take discards"),
              "--wipe zero overwrites it");
  }
  return absl::OkStatus();
}

// Where file systems, tables, RAID and encryption keep what they are known by.
absl::Status OverwriteEdges(host::BlockDevices& block, const std::string& device, uint64_t start,
                            uint64_t size) {
  const std::string zeros(kMebibyte, '\0');
  const uint64_t edge = std::min(size, kMebibyte);
  absl::Status status = block.Write(device, start, absl::string_view(zeros).substr(0, edge));
  if (status.ok()) {
    status = block.Write(device, start + size - edge, absl::string_view(zeros).substr(0, edge));
  }
  if (status.ok() && size > kBtrfsMirror + kMebibyte) {
    status =
        block.Write(device, start + kBtrfsMirror, absl::string_view(zeros).substr(0, 64 << 10));
  }
  return status;
}

absl::Status EraseAll(host::BlockDevices& block, const WipeTarget& target, host::Erasure how,
                      const std::function<void(int)>& progress) {
  for (uint64_t at = 0; at < target.size;) {
    const uint64_t piece = std::min(kPiece, target.size - at);
    if (absl::Status erased = block.Erase(target.device, how, at, piece); !erased.ok()) {
      return erased;
    }
    at += piece;
    progress(static_cast<int>(static_cast<double>(at) * 100 / static_cast<double>(target.size)));
  }
  return absl::OkStatus();
}

}  // namespace

std::string WhatItHolds(const DiskFacts& facts) {
  std::vector<std::string> names;
  for (const auto& p : facts.partitions) {
    names.push_back(absl::StrCat(p.at.name.empty() ? "a partition without a name" : p.at.name,
                                 p.content == storage::Content::kExt4 ? " (ext4)" : ""));
  }
  if (!names.empty()) return absl::StrJoin(names, ", ");
  if (facts.blank) return "nothing";
  if (facts.table == DiskFacts::Table::kGood) return "a table without partitions";
  return facts.disk.partitions.empty()
             ? "data without a partition table"
             : absl::StrCat(facts.disk.partitions.size(), " partitions of another kind of table");
}

absl::StatusOr<WipeTarget> FindWipe(const engine::WipeSpec& spec,
                                    const storage::StorageFacts& facts, const std::string& esp) {
  WipeTarget target;
  if (!spec.volume.empty()) {
    const storage::PartitionFacts* found = nullptr;
    for (const DiskFacts& disk : facts.disks) {
      for (const storage::PartitionFacts& p : disk.partitions) {
        if (p.at.name != spec.volume || storage::IsSystemPartition(p.at.name)) continue;
        if (found != nullptr) {
          return No("volume-ambiguous",
                    absl::StrCat("several partitions have the name ", spec.volume),
                    "name the disk instead");
        }
        found = &p;
        target.device = p.at.device;
        target.disk = disk.disk.device;
        target.size = p.at.size;
        target.discards = disk.disk.discards;
        target.what = absl::StrCat("volume ", spec.volume, " on ", p.at.device, " (",
                                   storage::SizeText(p.at.size), ")");
        if (disk.disk.read_only) {
          return No("disk-read-only", absl::StrCat(target.disk, " is read-only"), "");
        }
      }
    }
    if (found == nullptr) {
      return No("volume-not-found", absl::StrCat("no disk has a volume ", spec.volume),
                "nodectl get disk lists what they hold; STATE and DATA: nodectl reset");
    }
    if (facts.MountOf(target.device) != nullptr) {
      return No("volume-mounted",
                absl::StrCat("volume ", spec.volume, " is in use on ",
                             facts.MountOf(target.device)->target),
                "take it out of storage.volumes first");
    }
  } else {
    auto disk = storage::SelectDisk(
        spec.disk,
        [&] {
          std::vector<host::BlockDisk> all;
          for (const DiskFacts& one : facts.disks) all.push_back(one.disk);
          return all;
        }(),
        "disk");
    if (!disk.ok()) return disk.status();
    const DiskFacts& found = *facts.Disk(disk->device);
    if ((!esp.empty() && HasPartition(found, esp)) ||
        (!facts.data_device.empty() && HasPartition(found, facts.data_device))) {
      return No("disk-of-the-image",
                absl::StrCat(storage::Describe(*disk), " is what this node runs from"),
                "nodectl reset --all makes its partitions anew");
    }
    if (disk->read_only) {
      return No("disk-read-only", absl::StrCat(disk->device, " is read-only"), "");
    }
    target = {.device = disk->device,
              .disk = disk->device,
              .size = disk->size,
              .whole_disk = true,
              .discards = disk->discards,
              .what = absl::StrCat(storage::Describe(*disk), ", which holds ", WhatItHolds(found)),
              .partitions = disk->partitions};
    for (const storage::PartitionFacts& p : found.partitions) {
      const bool known = std::any_of(target.partitions.begin(), target.partitions.end(),
                                     [&](const auto& k) { return k.number == p.at.number; });
      if (!known) target.partitions.push_back(p.at);
    }
    for (const host::BlockPartition& p : target.partitions) {
      const host::BlockMount* mount = facts.MountOf(p.device);
      if (mount == nullptr) continue;
      return No("disk-in-use", absl::StrCat(p.device, " is mounted on ", mount->target),
                "take its volumes out of storage.volumes first");
    }
  }
  if (absl::Status can = CheckMethod(target, spec.method); !can.ok()) return can;
  return target;
}

absl::StatusOr<std::string> DoWipe(host::BlockDevices& block, const WipeTarget& target,
                                   WipeMethod method, std::function<void(int)> progress) {
  // The kernel first: it refuses while somebody uses one of them.
  for (const host::BlockPartition& p : target.partitions) {
    absl::Status removed = block.RemovePartition(target.disk, p.number);
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  }
  std::string done;
  if (method == WipeMethod::kCryptoErase) {
    std::vector<host::BlockPartition> places = target.partitions;
    if (!target.whole_disk) places = {{.start = 0, .size = target.size}};
    bool any = false;
    for (const host::BlockPartition& p : places) {
      auto head = block.Read(target.device, p.start, 4096);
      if (!head.ok()) return head.status();
      if (head->compare(0, 6, "LUKS\xba\xbe", 6) != 0) continue;
      any = true;
      absl::Status erased = block.Erase(target.device, host::Erasure::kZero, p.start,
                                        std::min(p.size, gpt::kCryptoHeader));
      if (!erased.ok()) return erased;
    }
    if (!any) {
      return No("not-encrypted", "nothing there is encrypted: there is no key to destroy",
                "--wipe zero or --wipe discard");
    }
    done = "keys of the encryption overwritten";
  } else if (method == WipeMethod::kDiscard) {
    done = "securely discarded";
    absl::Status erased = EraseAll(block, target, host::Erasure::kSecureDiscard, progress);
    if (!erased.ok()) {
      done = "discarded";
      erased = EraseAll(block, target, host::Erasure::kDiscard, progress);
    }
    if (!erased.ok()) return erased;
  } else if (method == WipeMethod::kZero) {
    done = absl::StrCat("zeros over ", storage::SizeText(target.size));
    absl::Status erased = EraseAll(block, target, host::Erasure::kZero, progress);
    if (!erased.ok()) return erased;
  } else {
    done = "signatures and tables overwritten: what was there can be read back with tools";
  }
  // Whatever the disk made of it: nothing there may look like something. The table goes last, so
  // that after a cut the disk still says what it held.
  for (const host::BlockPartition& p : target.partitions) {
    absl::Status edges = OverwriteEdges(block, target.device, p.start, p.size);
    if (!edges.ok()) return edges;
  }
  if (absl::Status edges = OverwriteEdges(block, target.device, 0, target.size); !edges.ok()) {
    return edges;
  }
  progress(100);
  return done;
}

}  // namespace basalt::install
