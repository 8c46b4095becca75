// What is observed: conditions, resources, drift; and the discards that flash wants now and then.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "machineconfig/schema/fields.h"
#include "server/controllers/storage/controller_impl.h"
#include "server/controllers/storage/disk_resources.h"
#include "server/controllers/storage/selector.h"
#include "server/engine/blocking.h"

namespace basalt::storage {
namespace {

constexpr absl::Duration kWatchEvery = absl::Seconds(60);
constexpr absl::Duration kFirstTrim = absl::Hours(1);
constexpr absl::Duration kTrimEvery = absl::Hours(24 * 7);
constexpr char kVolumesMounted[] = "VolumesMounted";
constexpr char kSwapActive[] = "SwapActive";

std::string ContentName(const PartitionFacts& partition) {
  switch (partition.content) {
    case Content::kBlank:
      return "empty";
    case Content::kUnfinished:
      return "half formatted";
    case Content::kExt4:
      return "ext4";
    case Content::kOther:
      break;
  }
  return "other";
}

}  // namespace

void ControllerImpl::Start() {
  // Not in this thread: a disk that is dying takes its time, and the node has to answer meanwhile.
  // Ignoring a failure: the watch looks again.
  Look([this](absl::Status) { Changed(); });
  Watch();
  ScheduleTrim(kFirstTrim);
}

void ControllerImpl::Watch() {
  watch_timer_ = deps_.executor.After(kWatchEvery, [this] {
    Watch();
    if (busy_ > 0 || std::exchange(looking_, true)) return;
    engine::OnPool<absl::StatusOr<StorageFacts>>(
        deps_.executor,
        [block = parts_.block, data = DataPath(), before = facts_] {
          return LookAt(*block, data, &before);
        },
        [this, epoch = epoch_](absl::StatusOr<StorageFacts> facts) {
          looking_ = false;
          if (busy_ > 0 || epoch != epoch_ || !facts.ok())
            return;  // what an Execute has seen is newer
          facts_ = *std::move(facts);
          looked_ = true;
          Changed();
        });
  });
}

void ControllerImpl::ScheduleTrim(absl::Duration delay) {
  trim_timer_ = deps_.executor.After(delay, [this] {
    ScheduleTrim(kTrimEvery);
    std::set<std::string> targets = {DataPath()};
    for (const v1::Volume& volume : wanted_.volumes()) targets.insert(TargetOf(volume));
    OnPool(
        [targets](host::BlockDevices& block) {
          // Ignoring what fails: a disk that takes no hints is none the worse.
          for (const std::string& target : targets) block.Trim(target).IgnoreError();
          return absl::OkStatus();
        },
        [](absl::Status) {});
  });
}

void ControllerImpl::Changed() {
  std::vector<engine::Condition> now = Observe();
  // Resources are of the facts, so they are news too.
  const bool same = now == last_conditions_ && facts_ == last_facts_;
  last_conditions_ = std::move(now);
  last_facts_ = facts_;
  if (!same && on_change_) on_change_();
}

std::vector<std::string> ControllerImpl::StillMounted() const {
  std::set<std::string> wanted;
  for (const v1::Volume& volume : wanted_.volumes()) wanted.insert(TargetOf(volume));
  std::vector<std::string> out;
  for (const DiskFacts& disk : facts_.disks) {
    for (const PartitionFacts& partition : disk.partitions) {
      const host::BlockMount* mount = facts_.MountOf(partition.at.device);
      if (mount == nullptr || record_.count(partition.id) == 0) continue;
      if (wanted.count(mount->target) > 0) continue;
      out.push_back(absl::StrCat(partition.at.name, " is no more asked for and still in use on ",
                                 mount->target));
    }
  }
  return out;
}

std::vector<engine::Condition> ControllerImpl::Observe() const {
  std::vector<engine::Condition> out;
  if (!executed_) return out;
  std::vector<std::string> wrong = StillMounted();
  if (wanted_.volumes_size() > 0 || !wrong.empty()) {
    engine::Condition condition{.type = kVolumesMounted, .holds = true, .reason = "Mounted"};
    for (const v1::Volume& volume : wanted_.volumes()) {
      const host::BlockMount* mount = facts_.MountAt(TargetOf(volume));
      if (mount == nullptr) {
        wrong.push_back(absl::StrCat(volume.name(), " is not mounted"));
      } else if (mount->read_only) {
        wrong.push_back(absl::StrCat(volume.name(), " is read-only: its file system is damaged"));
      } else if (mount->no_exec == volume.exec()) {
        wrong.push_back(absl::StrCat(volume.name(), " is mounted with other options"));
      }
    }
    condition.message = absl::StrCat(wanted_.volumes_size(), " volumes");
    if (!wrong.empty()) {
      condition.holds = false;
      condition.reason = "NotMounted";
      condition.code = "volume-not-mounted";
      condition.message = absl::StrJoin(wrong, "; ");
      if (!error_.empty()) absl::StrAppend(&condition.message, ": ", error_);
    }
    out.push_back(std::move(condition));
  }
  const SwapPlan swap = SwapOf(wanted_, deps_.platform.hardware().memory_total);
  if (swap.file > 0 || swap.zram > 0) {
    engine::Condition condition{.type = kSwapActive, .holds = true, .reason = "Active"};
    const bool file = swap.file == 0 || IsActive(facts_, SwapFile(), swap.file);
    const bool zram = swap.zram == 0 || IsActive(facts_, kZramDevice, swap.zram);
    if (!file || !zram) {
      condition.holds = false;
      condition.reason = "NotActive";
      condition.code = "swap-not-active";
      condition.message = absl::StrCat(!file ? "the swap file" : "zram", " is not in use",
                                       error_.empty() ? "" : ": ", error_);
    }
    out.push_back(std::move(condition));
  }
  return out;
}

absl::Duration ControllerImpl::Deadline(const v1::MachineConfig&, const std::string&) const {
  return absl::Seconds(30);
}

std::vector<v1::Resource> DiskResources(const StorageFacts& all, const VolumeRecord& record) {
  std::vector<v1::Resource> out;
  for (const DiskFacts& facts : all.disks) {
    v1::Resource resource;
    resource.set_kind("Disk");
    resource.set_name(facts.disk.device.substr(sizeof "/dev/" - 1));
    v1::Disk& disk = *resource.mutable_disk();
    disk.set_path(facts.disk.device);
    disk.set_type(std::string(TypeName(facts.disk.type)));
    disk.set_size(static_cast<int64_t>(facts.disk.size));
    disk.set_model(facts.disk.model);
    disk.set_serial(facts.disk.serial);
    disk.set_wwn(facts.disk.wwn);
    for (const std::string& id : facts.disk.ids) disk.add_ids(id);
    disk.set_unused(static_cast<int64_t>(facts.free_size));
    const bool system = &facts == all.DataDisk();
    disk.set_holds(facts.blank                              ? "nothing"
                   : system                                 ? "system"
                   : facts.table != DiskFacts::Table::kGood ? "unknown"
                   : facts.partitions.empty()               ? "nothing"
                                                            : "partitions");
    for (const PartitionFacts& partition : facts.partitions) {
      v1::DiskPartition& at = *disk.add_partitions();
      at.set_path(partition.at.device);
      at.set_name(partition.at.name);
      at.set_size(static_cast<int64_t>(partition.at.size));
      at.set_holds(IsSystemPartition(partition.at.name) ? "system" : ContentName(partition));
      at.set_volume(record.count(partition.id) > 0);
    }
    out.push_back(std::move(resource));
  }
  return out;
}

std::vector<v1::Resource> ControllerImpl::Resources() const {
  std::vector<v1::Resource> out = DiskResources(facts_, record_);
  for (const v1::Volume& wanted : wanted_.volumes()) {
    v1::Resource resource;
    resource.set_kind("VolumeStatus");
    resource.set_name(wanted.name());
    v1::VolumeStatus& volume = *resource.mutable_volume();
    volume.set_path(TargetOf(wanted));
    const host::BlockMount* mount = facts_.MountAt(TargetOf(wanted));
    volume.set_state(mount == nullptr ? "missing" : mount->read_only ? "read-only" : "mounted");
    if (mount != nullptr) {
      volume.set_device(mount->source);
      volume.set_file_system(mount->type);
    } else {
      volume.set_message(error_);
    }
    for (const DiskFacts& disk : facts_.disks) {
      for (const PartitionFacts& partition : disk.partitions) {
        if (mount != nullptr && partition.at.device == mount->source) {
          volume.set_size(static_cast<int64_t>(partition.at.size));
        }
      }
    }
    out.push_back(std::move(resource));
  }
  return out;
}

}  // namespace basalt::storage
