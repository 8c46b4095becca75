// What has to be done for the volumes of a config, from what there is. Pure: the same decision is
// shown as a plan and carried out.
//
//   a partition of that name holds    done
//   ------------------------------    ------------------------------------------------------
//   LUKS2, and the config has a key   opened, checked, mounted; another key: volume-key-differs
//   ext4                              checked, mounted: nothing is ever formatted that holds
//   something nothing, or an unfinished format  formatted, mounted anything else refused:
//   volume-foreign (there is none)                   made behind what the disk has, where the disk
//   is that of the
//                                     image, is blank, or has volumes of this node alone; else
//                                     refused: disk-in-use
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "basalt/v1/storage.pb.h"
#include "server/controllers/storage/facts.h"

namespace basalt::storage {

enum class VolumeStep { kNone, kMount, kFormat, kCreate };

struct VolumePlan {
  std::string name;
  std::string target;
  std::string disk;    // device
  std::string device;  // of the partition; "" when it is still to be made
  int number = 0;
  std::string id;  // of the partition
  uint64_t start = 0;
  uint64_t size = 0;     // of the partition as it is, or as it will be made
  uint64_t grow_to = 0;  // 0: it has what it may have
  bool grow_file_system = false;
  bool no_exec = true;
  VolumeStep step = VolumeStep::kNone;
  v1::KeySource key = v1::KEY_SOURCE_UNSPECIFIED;  // encrypted, when there is one
  std::string unmount_first;  // where it is mounted now, when that is not as the config says
  bool operator==(const VolumePlan&) const = default;

  bool encrypted() const { return key != v1::KEY_SOURCE_UNSPECIFIED; }
  // Below /dev/mapper, when it is encrypted.
  std::string mapped_name() const { return "volume-" + name; }
  // What its file system lies on, once it is open, and how many bytes that has.
  std::string file_device() const { return encrypted() ? "/dev/mapper/" + mapped_name() : device; }
  uint64_t file_room(uint64_t partition_size) const;
};

// Volumes that this node has made or mounted, by the id of the partition: their names.
using VolumeRecord = std::map<std::string, std::string>;

// In the order of the config. What cannot be carried out is Unimplemented()'s to say. Errors: of
// SelectDisk; "disk-in-use", "disk-read-only", "no-room", "volume-foreign", "volume-ambiguous",
// "target-in-use", "volume-key-differs", "state-in-the-clear".
absl::StatusOr<std::vector<VolumePlan>> PlanVolumes(const v1::Storage& storage,
                                                    const StorageFacts& facts,
                                                    const VolumeRecord& record);

// Why this release cannot make the volume; "" when it can.
std::string Unimplemented(const v1::Volume& volume);

// Of a file system on a partition of that size: kept away from the mark at its end.
uint64_t BlocksOf(uint64_t size);

std::string TargetOf(const v1::Volume& volume);

// `storage.encryption` against what STATE and DATA are. OK, or "encryption-differs".
absl::Status CheckEncryption(const v1::Storage& storage, const StorageFacts& facts);

// `storage.data` against the DATA that there is. OK, or "data-elsewhere" (it is on another disk
// than the config says), "too-small".
absl::Status CheckData(const v1::DataDisk& data, const StorageFacts& facts);

}  // namespace basalt::storage
