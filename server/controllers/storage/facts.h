// What there is: disks with their tables and what lies on them, mounts, swap. Read from the machine
// in one go, so that all decisions are about one moment; what is decided from it is pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/host/block.h"

namespace basalt::storage {

enum class Content {
  kBlank,       // the first and the last mebibyte and the place of a btrfs mirror are zero
  kUnfinished,  // a format that did not come to its end: nothing was kept there yet
  kExt4,
  kLuks,   // encrypted: `lock` says how
  kOther,  // anything else, and what cannot be read
};

// Of an encrypted partition, from its header: nobody has to be believed.
struct LockFacts {
  enum class Key { kNone, kTpm2, kNode, kState, kPassphrase };
  Key key = Key::kNone;  // what opens it at boot
  std::string text;      // the same for a person: "tpm2 (PCR 7+15)"
  int keyslots = 0;
  bool recovery = false;  // a passphrase opens it as well
  bool operator==(const LockFacts&) const = default;
};

struct PartitionFacts {
  host::BlockPartition at;            // as the table has it
  std::string id;                     // of the table, 32 hex digits
  Content content = Content::kOther;  // of the node's own partitions: kLuks or kOther
  LockFacts lock;
  uint64_t file_system = 0;  // bytes of the ext4 on it
  uint64_t room = 0;         // bytes that it could have
  bool operator==(const PartitionFacts&) const = default;
};

struct DiskFacts {
  enum class Table { kNone, kGood, kOther };
  host::BlockDisk disk;
  Table table = Table::kOther;  // kOther: damaged, of another kind, or it cannot be read
  bool both_copies = false;     // of the table, and its second one is where the disk ends
  bool blank = false;           // no table, and nothing else, or one of ours that was begun
  std::vector<PartitionFacts> partitions;
  uint64_t free_start = 0, free_size = 0;  // behind everything, whole mebibytes
  bool operator==(const DiskFacts&) const = default;
};

struct StorageFacts {
  std::vector<DiskFacts> disks;
  std::string data_device;  // "/dev/vda5"; "" when /data is of no partition
  std::vector<host::BlockMount> mounts;
  std::vector<host::SwapArea> swaps;

  bool operator==(const StorageFacts&) const = default;
  const DiskFacts* Disk(const std::string& device) const;
  // The disk that holds /data: that of the image.
  const DiskFacts* DataDisk() const;
  const PartitionFacts* Data() const;
  // The partition of the node's identity, beside DATA. Null when that is not known.
  const PartitionFacts* State() const;
  const host::BlockMount* MountOf(const std::string& device) const;
  const host::BlockMount* MountAt(const std::string& target) const;
};

// Partitions of the node itself.
bool IsSystemPartition(const std::string& name);

// Reads disks: on the pool. What of a disk cannot be read is said in its facts; an error is one of
// the whole machine. `before`: content of a disk that is as it was then is not read again, so that
// a disk that sleeps goes on sleeping.
absl::StatusOr<StorageFacts> LookAt(host::BlockDevices& block, const std::string& data_path,
                                    const StorageFacts* before);

}  // namespace basalt::storage
