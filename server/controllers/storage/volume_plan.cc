#include "server/controllers/storage/volume_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "machineconfig/format/quantity.h"
#include "machineconfig/schema/fields.h"
#include "server/controllers/storage/selector.h"
#include "server/gpt/format_mark.h"
#include "server/unlock/layout.h"

namespace basalt::storage {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kBlock = 4096;
constexpr uint64_t kLeast = 64 * kMebibyte;
constexpr uint64_t kLeastGain = 16 * kMebibyte;  // as noded-init has it for DATA

absl::Status Refuse(absl::string_view reason, const std::string& what, const std::string& hint) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, reason, what, hint);
}

// Bytes of a quantity that was checked, in whole mebibytes; `absent` where there is none.
uint64_t Bytes(bool has, const std::string& text, uint64_t absent) {
  const auto bytes = format::ParseQuantity(text);
  return has && bytes.ok() ? static_cast<uint64_t>(*bytes) / kMebibyte * kMebibyte : absent;
}

class Planner {
 public:
  Planner(const v1::Storage& storage, const StorageFacts& facts, const VolumeRecord& record)
      : storage_(storage), facts_(facts), record_(record) {
    for (const DiskFacts& disk : facts.disks) {
      disks_.push_back(disk.disk);
      free_[disk.disk.device] = {disk.free_start, disk.free_size};
    }
  }

  absl::StatusOr<VolumePlan> Plan(const v1::Volume& volume) {
    VolumePlan plan;
    plan.name = volume.name();
    plan.target = TargetOf(volume);
    plan.no_exec = !volume.exec();
    const std::string field = schema::Element("storage.volumes", volume.name());
    if (volume.has_encryption()) plan.key = volume.encryption().key();
    if (absl::Status status = CheckState(plan, field); !status.ok()) return status;
    auto disk = DiskOf(volume, field);
    if (!disk.ok()) return disk.status();
    const DiskFacts& at = **disk;
    plan.disk = at.disk.device;
    const PartitionFacts* found = nullptr;
    for (const PartitionFacts& partition : at.partitions) {
      if (partition.at.name != volume.name()) continue;
      if (found != nullptr) {
        return Refuse(
            "volume-ambiguous",
            absl::StrCat(field, ": ", plan.disk, " has several partitions named ", volume.name()),
            "give the volume another name, or rename one of them");
      }
      found = &partition;
    }
    const uint64_t most = Bytes(volume.has_max_size(), volume.max_size(), UINT64_MAX);
    const uint64_t least =
        std::max(kLeast, Bytes(volume.has_min_size(), volume.min_size(), kLeast));
    // Both sizes are of the partition.
    absl::Status status = found != nullptr ? UseIt(*found, field, least, most, &plan)
                                           : MakeIt(at, field, least, most, &plan);
    if (!status.ok()) return status;
    return plan;
  }

 private:
  // A key that lies on STATE is worth what STATE is.
  absl::Status CheckState(const VolumePlan& plan, const std::string& field) {
    if (plan.key != v1::KEY_SOURCE_TPM2 && plan.key != v1::KEY_SOURCE_PASSPHRASE) {
      return absl::OkStatus();
    }
    const PartitionFacts* state = facts_.State();
    const LockFacts::Key key = state != nullptr ? state->lock.key : LockFacts::Key::kNone;
    const bool enough = plan.key == v1::KEY_SOURCE_TPM2 ? key == LockFacts::Key::kTpm2
                                                        : key != LockFacts::Key::kNone;
    if (enough) return absl::OkStatus();
    return Refuse(
        "state-in-the-clear",
        absl::StrCat(field,
                     ".encryption.key: the key of the volume is kept in the state "
                     "of the node, and that is ",
                     key == LockFacts::Key::kNone ? "in the clear" : "not sealed in a TPM"),
        plan.key == v1::KEY_SOURCE_TPM2
            ? "key: node needs no state; STATE is sealed at the first boot of a machine "
              "with a TPM 2.0"
            : "key: node, or STATE made anew with a key");
  }

  struct Free {
    uint64_t start = 0, size = 0;
  };

  absl::StatusOr<const DiskFacts*> DiskOf(const v1::Volume& volume, const std::string& field) {
    const DiskFacts* facts = facts_.DataDisk();
    if (volume.has_disk()) {
      auto disk = SelectDisk(volume.disk(), disks_, schema::Child(field, "disk"));
      if (!disk.ok()) return disk.status();
      facts = facts_.Disk(disk->device);
    }
    if (facts == nullptr) {
      return Refuse("disk-not-found", absl::StrCat(field, ": which disk has DATA is not known"),
                    absl::StrCat("name one in ", field, ".disk"));
    }
    if (facts->disk.read_only) {
      return Refuse("disk-read-only",
                    absl::StrCat(field, ": ", facts->disk.device, " cannot be written to"),
                    "a switch of the card, or a disk that gave up");
    }
    return facts;
  }

  absl::Status UseIt(const PartitionFacts& partition, const std::string& field, uint64_t least,
                     uint64_t most, VolumePlan* plan) {
    plan->device = partition.at.device;
    plan->number = partition.at.number;
    plan->id = partition.id;
    plan->start = partition.at.start;
    plan->size = partition.at.size;
    if (std::min(std::max(partition.room, plan->size), most) < least) {
      return Refuse("no-room",
                    absl::StrCat(field, ": ", plan->device, " has ", SizeText(plan->size)),
                    absl::StrCat("it asks for ", SizeText(least)));
    }
    const uint64_t could = std::min(partition.room, most);
    if (could >= plan->size + kLeastGain) plan->grow_to = could;
    const uint64_t will_be = std::max(plan->size, plan->grow_to);
    plan->grow_file_system = partition.file_system > 0 &&
                             BlocksOf(will_be) * kBlock >= partition.file_system + kLeastGain;
    const host::BlockMount* mount = facts_.MountOf(plan->device);
    if (absl::Status same = CheckKey(partition, field, *plan); !same.ok()) return same;
    if (absl::Status free = CheckTarget(field, plan); !free.ok()) return free;
    if (mount != nullptr) {
      // It is mounted, so it is a file system, whatever it looked like before.
      const bool as_wanted =
          mount->target == plan->target && mount->no_exec == plan->no_exec && !mount->read_only;
      plan->step = as_wanted ? VolumeStep::kNone : VolumeStep::kMount;
      if (!as_wanted) plan->unmount_first = mount->target;
      return absl::OkStatus();
    }
    switch (partition.content) {
      case Content::kExt4:
      case Content::kLuks:
        plan->step = VolumeStep::kMount;
        break;
      case Content::kBlank:
      case Content::kUnfinished:
        plan->step = VolumeStep::kFormat;
        break;
      case Content::kOther:
        return Refuse("volume-foreign",
                      absl::StrCat(field, ": ", plan->device, " is named ", plan->name,
                                   " and holds something that is no ext4: it is left alone"),
                      "another name makes a new volume");
    }
    return absl::OkStatus();
  }

  // What lies there against what the config says. An empty one may become either.
  absl::Status CheckKey(const PartitionFacts& partition, const std::string& field,
                        const VolumePlan& plan) {
    const bool locked = partition.content == Content::kLuks;
    if (!locked && partition.content != Content::kExt4) return absl::OkStatus();
    const bool by_board = partition.lock.key == LockFacts::Key::kNode;
    if (locked == plan.encrypted() && (!locked || by_board == (plan.key == v1::KEY_SOURCE_NODE))) {
      return absl::OkStatus();
    }
    return Refuse("volume-key-differs",
                  absl::StrCat(field, ".encryption: ", plan.device, " is ",
                               locked ? absl::StrCat("encrypted, its key: ", partition.lock.text)
                                      : "in the clear",
                               ", and stays what it was made as"),
                  "another name makes a new volume; or keep encryption as it is");
  }

  absl::Status MakeIt(const DiskFacts& at, const std::string& field, uint64_t least, uint64_t most,
                      VolumePlan* plan) {
    if (absl::Status usable = Usable(at, field); !usable.ok()) return usable;
    Free& free = free_[at.disk.device];
    const uint64_t size = std::min(free.size, most);
    if (size < least) {
      const bool data = &at == facts_.DataDisk();
      return Refuse("no-room",
                    absl::StrCat(field, ": ", Describe(at.disk), " has ", SizeText(free.size),
                                 " left, and ", SizeText(least), " are asked for"),
                    data ? "DATA takes what the image lets it: another disk, or an image written "
                           "with --data-limit"
                         : "another disk, or less");
    }
    plan->start = free.start;
    plan->size = size;
    plan->step = VolumeStep::kCreate;
    free.start += size;
    free.size -= size;
    return CheckTarget(field, plan);
  }

  // What is mounted there goes first when it is a volume of this node, else it stays.
  absl::Status CheckTarget(const std::string& field, VolumePlan* plan) {
    const host::BlockMount* there = facts_.MountAt(plan->target);
    if (there == nullptr || there->source == plan->device) return absl::OkStatus();
    for (const DiskFacts& disk : facts_.disks) {
      for (const PartitionFacts& partition : disk.partitions) {
        if (partition.at.device != there->source || record_.count(partition.id) == 0) continue;
        plan->unmount_first = plan->target;
        return absl::OkStatus();
      }
    }
    return Refuse("target-in-use",
                  absl::StrCat(field, ": ", there->source, " is mounted on ", plan->target),
                  "another path");
  }

  // May a partition be added to this disk?
  absl::Status Usable(const DiskFacts& at, const std::string& field) {
    if (&at == facts_.DataDisk()) return absl::OkStatus();
    if (at.table == DiskFacts::Table::kNone && at.blank) return absl::OkStatus();
    std::vector<std::string> others;
    for (const PartitionFacts& partition : at.partitions) {
      if (!Ours(partition)) {
        others.push_back(absl::StrCat(partition.at.device, partition.at.name.empty() ? "" : " ",
                                      partition.at.name));
      }
    }
    if (at.table == DiskFacts::Table::kGood && others.empty()) return absl::OkStatus();
    const std::string holds = at.table == DiskFacts::Table::kGood ? absl::StrJoin(others, ", ")
                              : at.table == DiskFacts::Table::kNone
                                  ? "something without a partition table"
                                  : "a partition table that is damaged or of another kind";
    return Refuse("disk-in-use",
                  absl::StrCat(field, ": ", Describe(at.disk), " holds ", holds, ": left alone"),
                  "choose another disk, or empty this one where it is known what it holds");
  }

  bool Ours(const PartitionFacts& partition) const {
    if (record_.count(partition.id) > 0) return true;
    // One of this config that was adopted, or that a power cut left half made.
    return std::any_of(
        storage_.volumes().begin(), storage_.volumes().end(), [&](const v1::Volume& volume) {
          return volume.name() == partition.at.name && partition.content != Content::kOther;
        });
  }

  const v1::Storage& storage_;
  const StorageFacts& facts_;
  const VolumeRecord& record_;
  std::vector<host::BlockDisk> disks_;
  std::map<std::string, Free> free_;
};

}  // namespace

uint64_t VolumePlan::file_room(uint64_t partition_size) const {
  return partition_size - (encrypted() ? unlock::kDataOffset : 0);
}

uint64_t BlocksOf(uint64_t size) { return (size - gpt::kMarkDistance) / kBlock; }

std::string TargetOf(const v1::Volume& volume) {
  return volume.has_path() ? volume.path() : absl::StrCat("/var/mnt/", volume.name());
}

std::string Unimplemented(const v1::Volume& volume) {
  if (volume.filesystem() == v1::FILESYSTEM_XFS) {
    return "this image carries no tools for xfs: ext4 is for everything";
  }
  return "";
}

absl::StatusOr<std::vector<VolumePlan>> PlanVolumes(const v1::Storage& storage,
                                                    const StorageFacts& facts,
                                                    const VolumeRecord& record) {
  Planner planner(storage, facts, record);
  std::vector<VolumePlan> plans;
  for (const v1::Volume& volume : storage.volumes()) {
    auto plan = planner.Plan(volume);
    if (!plan.ok()) return plan.status();
    plans.push_back(*std::move(plan));
  }
  return plans;
}

absl::Status CheckEncryption(const v1::Storage& storage, const StorageFacts& facts) {
  if (!storage.has_encryption()) return absl::OkStatus();
  const bool tpm = storage.encryption().key() == v1::KEY_SOURCE_TPM2;
  const LockFacts::Key wanted = tpm ? LockFacts::Key::kTpm2 : LockFacts::Key::kNode;
  for (const auto& [name, partition] :
       {std::pair{"STATE", facts.State()}, std::pair{"DATA", facts.Data()}}) {
    const LockFacts lock = partition != nullptr ? partition->lock : LockFacts();
    if (lock.key == wanted) continue;
    const char* word = tpm ? "tpm2" : "node";
    return Refuse(
        "encryption-differs",
        absl::StrCat("storage.encryption.key: ", name, " was made ",
                     lock.key == LockFacts::Key::kNone ? "in the clear"
                                                       : absl::StrCat("with the key: ", lock.text),
                     " at the first boot, and the config asks for ", word),
        absl::StrCat("it is decided by what the medium says then: a file "
                     "basalt/encryption on the ESP with the line `",
                     word, "` (image-builder --encryption ", word,
                     "), and STATE and DATA empty; or leave storage.encryption out"));
  }
  return absl::OkStatus();
}

absl::Status CheckData(const v1::DataDisk& data, const StorageFacts& facts) {
  const PartitionFacts* partition = facts.Data();
  if (partition == nullptr) return absl::OkStatus();  // no partition: nothing to compare with
  if (data.has_disk()) {
    std::vector<host::BlockDisk> disks;
    for (const DiskFacts& disk : facts.disks) disks.push_back(disk.disk);
    auto disk = SelectDisk(data.disk(), disks, "storage.data.disk");
    if (!disk.ok()) return disk.status();
    if (disk->device != facts.DataDisk()->disk.device) {
      return Refuse("data-elsewhere",
                    absl::StrCat("storage.data.disk: means ", Describe(*disk), ", and DATA is on ",
                                 Describe(facts.DataDisk()->disk)),
                    "DATA stays on the disk of the image in this release: leave disk out, and make "
                    "the other one a volume");
    }
  }
  const uint64_t least = Bytes(data.has_min_size(), data.min_size(), 0);
  if (partition->at.size < least) {
    return Refuse("too-small",
                  absl::StrCat("storage.data.minSize: DATA has ", SizeText(partition->at.size)),
                  absl::StrCat(SizeText(least), " are asked for: a larger disk"));
  }
  return absl::OkStatus();
}

}  // namespace basalt::storage
