// One volume: made, formatted, checked, mounted, grown.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/controllers/storage/controller_impl.h"
#include "server/controllers/storage/disk_table.h"
#include "server/controllers/storage/selector.h"
#include "server/controllers/storage/volume_record.h"

namespace basalt::storage {
namespace {

constexpr absl::Duration kFormatLimit = absl::Minutes(10);
constexpr absl::Duration kCheckLimit = absl::Hours(2);
constexpr size_t kLongestLabel = 16;

// Random, of version 4 (RFC 9562), as it lies on a disk.
std::string NewId(host::Random& random) {
  std::string id = random.Bytes(16);
  id[7] = static_cast<char>((id[7] & 0x0f) | 0x40);
  id[8] = static_cast<char>((id[8] & 0x3f) | 0x80);
  return id;
}

}  // namespace

void ControllerImpl::Tool(std::vector<std::string> argv, absl::Duration limit, int most_code,
                          const std::string& what, Next next) {
  parts_.tools->Run(
      std::move(argv), /*secret=*/"", limit,
      [most_code, what, next = std::move(next)](absl::StatusOr<ToolResult> result) {
        if (!result.ok()) return next(api::Annotate(result.status(), what));
        if (result->exit_code <= most_code) return next(absl::OkStatus());
        const std::string said(absl::StripAsciiWhitespace(result->output));
        next(api::Coded(absl::StatusCode::kFailedPrecondition, "tool-failed",
                        absl::StrCat(what, ": exit code ", result->exit_code,
                                     said.empty() ? "" : ": ", said.substr(said.rfind('\n') + 1)),
                        "the disk may be failing: its output is in the log"));
      });
}

void ControllerImpl::Make(VolumePlan volume, Next next) {
  const DiskFacts* facts = facts_.Disk(volume.disk);
  const std::string id = NewId(deps_.random), disk_id = NewId(deps_.random);
  volume.id = absl::BytesToHexString(id);
  // On STATE before it is on the disk: a partition that nobody remembers would be in the way.
  record_[volume.id] = volume.name;
  if (absl::Status status = StoreRecord(deps_.vfs, record_); !status.ok()) return next(status);
  OnPool(
      [=, disk = facts->disk](host::BlockDevices& block) {
        return AddVolume(block, disk, volume.name, volume.start, volume.size, id, disk_id).status();
      },
      [this, volume, id = volume.id, next = std::move(next)](absl::Status status) mutable {
        if (!status.ok()) return next(std::move(status));
        // Which number it got, the disk says.
        Look([this, volume, id, next](absl::Status seen) mutable {
          if (!seen.ok()) return next(std::move(seen));
          for (const DiskFacts& disk : facts_.disks) {
            for (const PartitionFacts& partition : disk.partitions) {
              if (partition.id == id) volume.device = partition.at.device;
            }
          }
          if (volume.device.empty()) return next(absl::InternalError("it is not on its disk"));
          Format(volume, next);
        });
      });
}

void ControllerImpl::Format(const VolumePlan& volume, Next next) {
  OnPool([device = volume.device,
          size = volume.size](host::BlockDevices& block) { return SetMark(block, device, size); },
         [this, volume, next = std::move(next)](absl::Status status) {
           if (!status.ok()) return next(std::move(status));
           Lock(volume, "format", [this, volume, next](absl::Status locked) {
             if (!locked.ok()) return next(std::move(locked));
             Tool({"/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-L",
                   volume.name.substr(0, kLongestLabel), volume.file_device(),
                   absl::StrCat(BlocksOf(volume.file_room(volume.size)))},
                  kFormatLimit, 0, absl::StrCat("mke2fs ", volume.file_device()),
                  [this, volume, next](absl::Status made) {
                    if (!made.ok()) return next(std::move(made));
                    Mount(volume, /*fresh=*/true, next);
                  });
           });
         });
}

void ControllerImpl::Mount(const VolumePlan& volume, bool fresh, Next next) {
  Next mount = [this, volume, fresh, next](absl::Status status) {
    if (!status.ok()) return next(std::move(status));
    OnPool(
        [volume, fresh](host::BlockDevices& block) {
          absl::Status mounted = block.Mount({.device = volume.file_device(),
                                              .target = volume.target,
                                              .type = "ext4",
                                              .no_exec = volume.no_exec});
          if (!mounted.ok() || !fresh) return mounted;
          absl::Status removed = RemoveMark(block, volume.device, volume.size);
          // With the mark it would be formatted again, and what is written from here on be lost.
          if (!removed.ok()) block.Unmount(volume.target).IgnoreError();
          return removed;
        },
        next);
  };
  if (fresh) return mount(absl::OkStatus());
  Lock(volume, "open", [this, volume, mount = std::move(mount), next](absl::Status opened) {
    if (!opened.ok()) return next(std::move(opened));
    // 1 and 2: it repaired; 4 and above: a person has to look.
    Tool({"/usr/sbin/e2fsck", "-p", volume.file_device()}, kCheckLimit, 2,
         absl::StrCat("e2fsck ", volume.file_device(), ": left as it is"),
         [this, volume, mount, next](absl::Status checked) {
           if (!checked.ok() || !volume.encrypted()) return mount(std::move(checked));
           // Opened it has what its partition has by now: nobody saw into it before.
           GrowFileSystem(volume, volume.size, mount);
         });
  });
}

void ControllerImpl::Grow(const VolumePlan& volume, Next next) {
  const uint64_t size = std::max(volume.size, volume.grow_to);
  const bool mounted = volume.step != VolumeStep::kFormat;
  Next then = [this, volume, size, mounted, next = std::move(next)](absl::Status status) {
    if (!status.ok() || !mounted || !volume.grow_file_system) return next(std::move(status));
    GrowFileSystem(volume, size, next);
  };
  if (volume.grow_to == 0) return then(absl::OkStatus());
  OnPool([disk = facts_.Disk(volume.disk)->disk, number = volume.number,
          size](host::BlockDevices& block) { return ResizeVolume(block, disk, number, size); },
         std::move(then));
}

void ControllerImpl::GrowFileSystem(const VolumePlan& volume, uint64_t size, Next next) {
  Tool(
      {"/usr/sbin/resize2fs", volume.file_device(), absl::StrCat(BlocksOf(volume.file_room(size)))},
      kCheckLimit, 0, absl::StrCat("resize2fs ", volume.file_device()), std::move(next));
}

void ControllerImpl::CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) {
  std::set<std::string> wanted;
  for (const v1::MachineConfig* config : kept) {
    auto plans = PlanVolumes(Implemented(config->storage()), facts_, record_);
    // A disk that is not there now: what is on it is not known, so nothing goes.
    if (!plans.ok()) return;
    for (const VolumePlan& volume : *plans) wanted.insert(volume.id);
  }
  for (const auto& [id, name] : record_) {
    if (wanted.count(id) > 0) continue;
    for (const DiskFacts& disk : facts_.disks) {
      const bool here = std::any_of(disk.partitions.begin(), disk.partitions.end(),
                                    [&, id = id](const PartitionFacts& p) { return p.id == id; });
      if (!here) continue;
      OnPool([disk = disk.disk,
              id = id](host::BlockDevices& block) { return RemoveVolume(block, disk, id); },
             [this, id = id](absl::Status status) {
               // In use, or the disk fails: tried again after the next commit.
               if (!status.ok()) return;
               record_.erase(id);
               StoreRecord(deps_.vfs, record_).IgnoreError();  // ignoring: what is gone is no harm
               Look([this](absl::Status) { Changed(); });
             });
    }
  }
}

}  // namespace basalt::storage
