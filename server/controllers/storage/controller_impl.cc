#include "server/controllers/storage/controller_impl.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/format/quantity.h"
#include "server/controllers/storage/disk_table.h"
#include "server/controllers/storage/volume_record.h"
#include "server/engine/blocking.h"

namespace basalt::storage {
namespace {

// A disk of a bus that is slow to answer is awaited for so long after the start of the machine.
constexpr absl::Duration kDisksComeUntil = absl::Minutes(1);
constexpr absl::Duration kLookAgain = absl::Seconds(2);

}  // namespace

std::unique_ptr<StorageController> MakeStorageController(const StorageDeps& deps,
                                                         StorageParts parts) {
  return std::make_unique<ControllerImpl>(deps, std::move(parts));
}

ControllerImpl::ControllerImpl(const StorageDeps& deps, StorageParts parts)
    : deps_(deps), parts_(std::move(parts)), record_(LoadRecord(deps.vfs)) {}

ControllerImpl::~ControllerImpl() {
  for (engine::Executor::TimerId timer : {watch_timer_, trim_timer_}) {
    if (timer != 0) deps_.executor.CancelTimer(timer);
  }
}

void ControllerImpl::OnServiceEvent(const host::ServiceEvent& event) {
  parts_.tools->OnServiceEvent(event);
}

MachineFacts ControllerImpl::Machine() const {
  MachineFacts machine;
  machine.memory = deps_.platform.hardware().memory_total;
  machine.swap_file = SwapFile();
  machine.data_available = deps_.vfs.FreeBytes("data").value_or(0);
  return machine;
}

void ControllerImpl::OnPool(Work work, Next next) {
  engine::OnPool<absl::Status>(
      deps_.executor, [block = parts_.block, work = std::move(work)] { return work(*block); },
      std::move(next));
}

void ControllerImpl::Look(Next next) {
  engine::OnPool<absl::StatusOr<StorageFacts>>(
      deps_.executor,
      [block = parts_.block, data = DataPath()] { return LookAt(*block, data, nullptr); },
      [this, next = std::move(next)](absl::StatusOr<StorageFacts> facts) {
        if (!facts.ok()) return next(facts.status());
        facts_ = *std::move(facts);
        looked_ = true;
        next(absl::OkStatus());
      });
}

ControllerImpl::Next ControllerImpl::Guarded(uint64_t epoch, engine::Done done,
                                             std::function<void()> next) {
  return [this, epoch, done = std::move(done), next = std::move(next)](absl::Status status) {
    if (epoch != epoch_) return done(absl::CancelledError("superseded by a newer configuration"));
    if (!status.ok()) return Finish(epoch, std::move(status), done);
    next();
  };
}

absl::StatusOr<engine::ControllerPlan> ControllerImpl::Plan(const v1::MachineConfig* from,
                                                            const v1::MachineConfig& to) const {
  if (!looked_ && to.has_storage()) {
    return api::Coded(absl::StatusCode::kUnavailable, "disks-not-read",
                      "the disks of this machine are being read since noded started",
                      "again in a moment; if it stays so, a disk does not answer");
  }
  return PlanStorage(from, to, facts_, record_, Machine());
}

void ControllerImpl::Prepare(const v1::MachineConfig& to, engine::OnProgress, engine::Done done) {
  if (!to.has_storage()) return done(absl::OkStatus());
  // The plan was of what was seen a while ago.
  const uint64_t epoch = ++prepare_epoch_;
  Look([this, epoch, storage = Implemented(to.storage()),
        done = std::move(done)](absl::Status status) {
    if (epoch != prepare_epoch_) return;
    if (status.ok()) status = CheckData(storage.data(), facts_);
    if (status.ok()) status = PlanVolumes(storage, facts_, record_).status();
    done(std::move(status));
  });
}

void ControllerImpl::Execute(const v1::MachineConfig* to, engine::Done when_done) {
  const uint64_t epoch = ++epoch_;
  ++busy_;
  wanted_ = to != nullptr ? Implemented(to->storage()) : v1::Storage();
  secrets_ = TakePassphrases(&wanted_);
  engine::Done done = [this, when_done = std::move(when_done)](absl::Status status) {
    --busy_;
    when_done(std::move(status));
  };
  Look(Guarded(epoch, done, [this, epoch, done] { Run(epoch, done); }));
}

void ControllerImpl::Run(uint64_t epoch, engine::Done done) {
  auto plans = PlanVolumes(wanted_, facts_, record_);
  if (!plans.ok()) {
    const bool may_come = api::Reason(plans.status()) == "disk-not-found" &&
                          deps_.clock.SinceBoot() < kDisksComeUntil;
    if (!may_come) return Finish(epoch, plans.status(), std::move(done));
    deps_.executor.After(kLookAgain, [this, epoch, done] {
      Look(Guarded(epoch, done, [this, epoch, done] { Run(epoch, done); }));
    });
    return;
  }
  Release(epoch, *std::move(plans), std::move(done));
}

void ControllerImpl::Release(uint64_t epoch, std::vector<VolumePlan> plans, engine::Done done) {
  std::set<std::string> kept;  // devices
  std::vector<std::string> must, may, open;
  for (const VolumePlan& volume : plans) {
    if (!volume.device.empty()) kept.insert(volume.device);
    if (!volume.unmount_first.empty()) must.push_back(volume.unmount_first);
  }
  std::vector<host::BlockDisk> damaged;
  for (const DiskFacts& disk : facts_.disks) {
    const bool used = std::any_of(plans.begin(), plans.end(), [&](const VolumePlan& volume) {
      return volume.disk == disk.disk.device;
    });
    if (used && disk.table == DiskFacts::Table::kGood && !disk.both_copies) {
      damaged.push_back(disk.disk);
    }
    for (const PartitionFacts& partition : disk.partitions) {
      const host::BlockMount* mount = facts_.MountOf(partition.at.device);
      if (mount == nullptr || record_.count(partition.id) == 0) continue;
      if (kept.count(partition.at.device) > 0) continue;
      may.push_back(mount->target);
      const std::string_view mapped = mount->mapped;
      if (!mapped.empty()) open.emplace_back(mapped.substr(mapped.rfind('/') + 1));
    }
  }
  OnPool(
      [must, may, damaged](host::BlockDevices& block) {
        for (const host::BlockDisk& disk : damaged) {
          if (absl::Status status = MendTable(block, disk); !status.ok()) return status;
        }
        // Ignoring what is in use still: K3s ends after this, or not at all. Observe() says it.
        for (const std::string& target : may) block.Unmount(target).IgnoreError();
        for (const std::string& target : must) {
          absl::Status status = block.Unmount(target);
          if (absl::IsFailedPrecondition(status)) {
            return api::Coded(absl::StatusCode::kFailedPrecondition, "volume-busy",
                              absl::StrCat(target, " is in use: ", status.message()),
                              "end the pods that use it first");
          }
          if (!status.ok() && !absl::IsNotFound(status)) return status;
        }
        return absl::OkStatus();
      },
      Guarded(epoch, done, [this, epoch, plans = std::move(plans), open = std::move(open), done] {
        CloseAll(open, Guarded(epoch, done, [this, epoch, plans, done] {
                   DoVolumes(epoch, {plans.begin(), plans.end()}, done);
                 }));
      }));
}

void ControllerImpl::DoVolumes(uint64_t epoch, std::deque<VolumePlan> rest, engine::Done done) {
  if (rest.empty()) {
    // What was just made is encrypted now, and the passphrase with it.
    return Look(Guarded(epoch, done, [this, epoch, done] {
      DoPassphrases(epoch, ToChange(secrets_, wanted_, facts_, LoadApplied(deps_.vfs)), done);
    }));
  }
  VolumePlan volume = std::move(rest.front());
  rest.pop_front();
  Next next = Guarded(
      epoch, done, [this, epoch, rest = std::move(rest), done] { DoVolumes(epoch, rest, done); });
  Next named = [name = volume.name, next = std::move(next)](absl::Status status) {
    next(status.ok() ? status : api::Annotate(status, absl::StrCat("volume ", name)));
  };
  if (volume.step != VolumeStep::kCreate && record_.emplace(volume.id, volume.name).second) {
    if (absl::Status status = StoreRecord(deps_.vfs, record_); !status.ok()) return named(status);
  }
  switch (volume.step) {
    case VolumeStep::kCreate:
      return Make(std::move(volume), std::move(named));
    case VolumeStep::kFormat:
      return Grow(volume, [this, volume, named](absl::Status status) mutable {
        if (!status.ok()) return named(std::move(status));
        volume.size = std::max(volume.size, volume.grow_to);
        Format(volume, named);
      });
    case VolumeStep::kMount:
      return Mount(volume, /*fresh=*/false, [this, volume, named](absl::Status status) {
        if (!status.ok()) return named(std::move(status));
        Grow(volume, named);
      });
    case VolumeStep::kNone:
      return Grow(volume, std::move(named));
  }
}

void ControllerImpl::DoSwap(uint64_t epoch, engine::Done done) {
  const SwapPlan plan = SwapOf(wanted_, deps_.platform.hardware().memory_total);
  const std::string file = SwapFile();
  const bool make_file = plan.file > 0 && !IsActive(facts_, file, plan.file);
  const bool drop_file = IsAnyActive(facts_, file) && (plan.file == 0 || make_file);
  const bool remove_file = plan.file == 0 && deps_.vfs.Exists("data/swap/file");
  const bool other_algorithm = !algorithm_.empty() && algorithm_ != plan.algorithm;
  const bool make_zram =
      plan.zram > 0 && (!IsActive(facts_, kZramDevice, plan.zram) || other_algorithm);
  const bool drop_zram = IsAnyActive(facts_, kZramDevice) && (plan.zram == 0 || make_zram);
  algorithm_ = plan.zram > 0 ? plan.algorithm : "";
  OnPool(
      [=](host::BlockDevices& block) {
        absl::Status status;
        if (drop_file) status = block.SwapOff(file);
        if (status.ok() && make_file) {
          status = block.MakeSwapFile(file, plan.file);
          if (status.ok()) status = block.SwapOn(file, -1);
        }
        if (status.ok() && drop_zram) {
          status = block.SwapOff(kZramDevice);
          if (status.ok()) status = block.SetZram(0, "").status();
        }
        if (status.ok() && make_zram) {
          auto device = block.SetZram(plan.zram, plan.algorithm);
          status = device.ok() ? block.SwapOn(*device, kZramPriority) : device.status();
          if (absl::IsNotFound(status)) {
            status = api::Coded(absl::StatusCode::kUnimplemented, "no-zram",
                                absl::StrCat("storage.zram: ", status.message()),
                                "the kernel of this image has no zram");
          }
        }
        if (status.ok() && plan.swappiness.has_value()) {
          status = block.SetSwappiness(*plan.swappiness);
        }
        return status;
      },
      Guarded(epoch, done, [this, epoch, remove_file, done] {
        absl::Status status = remove_file ? deps_.vfs.Remove("data/swap/file") : absl::OkStatus();
        if (status.ok()) status = WriteLimit();
        if (!status.ok()) return Finish(epoch, std::move(status), done);
        Look(Guarded(epoch, done, [this, epoch, done] { Finish(epoch, absl::OkStatus(), done); }));
      }));
}

absl::Status ControllerImpl::WriteLimit() {
  const auto limit = format::ParseQuantity(wanted_.data().max_size());
  auto there = deps_.vfs.Read(kLimitPath, 64);
  if (!wanted_.data().has_max_size() || !limit.ok()) {
    return there.ok() ? deps_.vfs.Remove(kLimitPath) : absl::OkStatus();
  }
  const std::string text = absl::StrCat(*limit, "\n");
  return there.ok() && *there == text ? absl::OkStatus() : deps_.vfs.Replace(kLimitPath, text);
}

void ControllerImpl::Finish(uint64_t epoch, absl::Status status, engine::Done done) {
  if (epoch == epoch_) {
    executed_ = true;
    secrets_ = {};
    error_ = status.ok() ? "" : std::string(status.message());
    Changed();
  }
  done(std::move(status));
}

void ControllerImpl::Erase(engine::Done done) {
  // Volumes stay with what they hold: a config that names them finds them again.
  record_.clear();
  absl::Status status = StoreRecord(deps_.vfs, record_);
  for (const char* path : {"data/swap/file", kLimitPath, kAppliedPath}) {
    if (status.ok() && deps_.vfs.Exists(path)) status = deps_.vfs.Remove(path);
  }
  done(std::move(status));
}

}  // namespace basalt::storage
