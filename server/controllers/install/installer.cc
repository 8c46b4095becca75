#include "server/controllers/install/installer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/controllers/storage/disk_table.h"
#include "server/engine/journal.h"
#include "server/gpt/format_mark.h"

namespace basalt::install {
namespace {

constexpr size_t kPiece = 4 << 20;
constexpr size_t kMostFile = 256 << 20;

// Of the medium's boot partition: what the machine starts by, and whom it trusts. What else lies
// there (a config, keys that it was sealed to) is of the medium.
constexpr const char* kCopied[] = {"EFI", "loader", "basalt/trust.json", "basalt/licences"};

absl::Status CopyTree(host::Vfs& from, host::Vfs& to, const std::string& path, int depth) {
  if (!from.Exists(path) || depth > 8) return absl::OkStatus();
  auto names = from.List(path);
  if (!names.ok()) {  // a file
    auto bytes = from.Read(path, kMostFile);
    if (!bytes.ok()) return bytes.status();
    return to.Replace(path, *bytes);
  }
  if (absl::Status made = to.MakeDirs(path); !made.ok()) return made;
  for (const std::string& name : *names) {
    if (absl::StartsWith(name, host::kTempPrefix)) continue;
    absl::Status copied = CopyTree(from, to, absl::StrCat(path, "/", name), depth + 1);
    if (!copied.ok()) return copied;
  }
  return absl::OkStatus();
}

absl::Status Zero(host::BlockDevices& block, const std::string& device, uint64_t at,
                  uint64_t size) {
  return block.Write(device, at, std::string(size, '\0'));
}

// The old tables go, and the kernel forgets what they said. The mark says meanwhile that what the
// disk holds was begun by us.
absl::Status Clear(host::BlockDevices& block, const host::BlockDisk& disk) {
  for (const host::BlockPartition& p : disk.partitions) {
    absl::Status removed = block.RemovePartition(disk.device, p.number);
    if (!removed.ok() && !absl::IsNotFound(removed)) {
      return api::Annotate(removed, absl::StrCat(p.device, " is in use"));
    }
  }
  absl::Status status = storage::SetMark(block, disk.device, disk.size);
  if (status.ok()) status = Zero(block, disk.device, 0, kMebibyte);
  // Around the mark, which lies in the last 64 KiB.
  const uint64_t mark = disk.size - gpt::kMarkDistance;
  const uint64_t tail = (disk.size - kMebibyte) / 4096 * 4096;
  if (status.ok()) status = Zero(block, disk.device, tail, mark - tail);
  if (status.ok()) status = Zero(block, disk.device, mark + 4096, disk.size - mark - 4096);
  return status;
}

absl::Status CopySlot(host::BlockDevices& block, const InstallJob& job, const Progress& progress) {
  auto spec = ParseSlotSpec(job.medium.running_root);
  if (!spec.ok()) return spec.status();
  const uint64_t size = spec->size();
  if (size > job.plan.layout.slot_a.size) return absl::InternalError("the slot is too large");
  const std::string& disk = job.plan.disk.device;
  const uint64_t start = job.plan.layout.slot_a.start;
  for (uint64_t at = 0; at < size; at += kPiece) {
    auto piece = block.Read(job.medium.slot, at, std::min<uint64_t>(kPiece, size - at));
    if (!piece.ok()) return api::Annotate(piece.status(), "the medium");
    if (absl::Status written = block.Write(disk, start + at, *piece); !written.ok()) return written;
    progress("image", static_cast<int64_t>(at + piece->size()), static_cast<int64_t>(size));
  }
  return CheckSlot(
      *spec, [&](uint64_t at, size_t n) { return block.Read(disk, start + at, n); },
      [&](uint64_t done) {
        progress("image, read back", static_cast<int64_t>(done), static_cast<int64_t>(size));
      });
}

absl::Status MakeBootPartition(host::BlockDevices& block, const OpenFiles& files,
                               const InstallJob& job, const Progress& progress) {
  const Place& esp = job.plan.layout.esp;
  const host::BlockDisk& disk = job.plan.disk;
  uint32_t volume_id = 0;
  memcpy(&volume_id, job.random.data() + 80, sizeof volume_id);
  absl::Status status =
      block.Write(disk.device, esp.start, MakeFat32(esp.size, disk.sector, volume_id));
  if (status.ok()) status = block.AddPartition(disk.device, esp.number, esp.start, esp.size);
  if (!status.ok()) return status;
  auto from = files(job.medium.esp);
  if (!from.ok()) return api::Annotate(from.status(), "the medium's boot partition");
  auto to = files(storage::PartitionDevice(disk.device, esp.number));
  if (!to.ok()) return api::Annotate(to.status(), "the new boot partition");
  int64_t done = 0;
  for (const char* path : kCopied) {
    progress("boot partition", done++, std::size(kCopied));
    if (absl::StrContains(path, "/")) {
      if (status = (*to)->MakeDirs("basalt"); !status.ok()) return status;
    }
    if (status = CopyTree(**from, **to, path, 0); !status.ok()) return status;
  }
  return absl::OkStatus();
}

class TableIo : public gpt::Io {
 public:
  TableIo(host::BlockDevices& block, const std::string& disk) : block_(block), disk_(disk) {}
  int Read(uint64_t offset, void* data, size_t size) override {
    auto bytes = block_.Read(disk_, offset, size);
    status = bytes.status();
    if (bytes.ok()) memcpy(data, bytes->data(), size);
    return bytes.ok() ? 0 : EIO;
  }
  int Write(uint64_t offset, const void* data, size_t size) override {
    status = block_.Write(disk_, offset, {static_cast<const char*>(data), size});
    return status.ok() ? 0 : EIO;
  }
  absl::Status status;

 private:
  host::BlockDevices& block_;
  const std::string& disk_;
};

}  // namespace

absl::StatusOr<std::string> WriteDisk(host::BlockDevices& block, const OpenFiles& fat_files,
                                      const InstallJob& job, const Progress& progress) {
  const host::BlockDisk& disk = job.plan.disk;
  const Layout& layout = job.plan.layout;
  absl::Status status = Clear(block, disk);
  if (status.ok()) status = CopySlot(block, job, progress);
  // Whatever image lay there is none of this node's.
  if (status.ok()) status = Zero(block, disk.device, layout.slot_b.start, kMebibyte);
  if (status.ok()) status = MakeBootPartition(block, fat_files, job, progress);
  if (status.ok()) {
    status =
        block.AddPartition(disk.device, layout.data.number, layout.data.start, layout.data.size);
  }
  if (status.ok()) {
    status = storage::SetMark(block, storage::PartitionDevice(disk.device, layout.data.number),
                              layout.data.size);
  }
  if (status.ok()) {
    status =
        block.AddPartition(disk.device, layout.state.number, layout.state.start, layout.state.size);
  }
  if (!status.ok()) return status;
  const std::string state = storage::PartitionDevice(disk.device, layout.state.number);
  status = storage::RemoveMark(block, state, layout.state.size);
  if (!status.ok()) return status;
  return state;
}

absl::Status CopyState(host::Vfs& node, host::Vfs& state, uint64_t data_limit) {
  auto names = node.List("state");
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    // Of the machine as it was started, or made anew by it.
    if (name == "rancher" || name == "random-seed" || name == "lost+found" || name == "journal" ||
        absl::StartsWith(name, host::kTempPrefix)) {
      continue;
    }
    const std::string from = absl::StrCat("state/", name);
    auto inside = node.List(from);
    if (!inside.ok()) {
      auto bytes = node.Read(from, kMostFile);
      if (!bytes.ok()) return bytes.status();
      if (absl::Status put = state.Replace(name, *bytes); !put.ok()) return put;
      continue;
    }
    // Two levels are all that state/ has.
    if (absl::Status made = state.MakeDirs(name); !made.ok()) return made;
    for (const std::string& file : *inside) {
      if (absl::StartsWith(file, host::kTempPrefix)) continue;
      const std::string path = absl::StrCat(name, "/", file);
      auto bytes = node.Read(absl::StrCat("state/", path), kMostFile);
      if (!bytes.ok()) continue;  // a directory of a directory: nothing of a node's identity
      if (absl::Status put = state.Replace(path, *bytes); !put.ok()) return put;
    }
  }
  if (data_limit > 0) {
    absl::Status put = state.Replace("data-limit", absl::StrCat(data_limit, "\n"));
    if (!put.ok()) return put;
  }
  // The journal last: without it there is a node without a config, which takes one.
  auto journal = node.Read("state/journal", kMostFile);
  if (!journal.ok()) return journal.status();
  if (absl::Status put = state.Replace("journal", *journal); !put.ok()) return put;
  auto copy = engine::Journal::Open(state, "journal");
  if (!copy.ok()) return copy.status();
  if (!copy->ledger().has_in_flight()) return absl::OkStatus();
  engine::stored::Record record;
  *record.mutable_entered() = copy->ledger().in_flight();
  record.mutable_entered()->set_state(v1::APPLY_STATE_STAGED);
  return copy->Write(record, /*sync=*/true);
}

absl::Status FinishDisk(host::BlockDevices& block, const OpenFiles& state_files,
                        const InstallJob& job, host::Vfs& node) {
  const host::BlockDisk& disk = job.plan.disk;
  const Layout& layout = job.plan.layout;
  {
    auto state = state_files(storage::PartitionDevice(disk.device, layout.state.number));
    if (!state.ok()) return api::Annotate(state.status(), "STATE");
    const uint64_t end = disk.size / kMebibyte * kMebibyte - kMebibyte;
    const bool limited = layout.data.start + layout.data.size < end;
    absl::Status copied = CopyState(node, **state, limited ? layout.data.size : 0);
    if (!copied.ok()) return api::Annotate(copied, "STATE");
  }
  // From here on the disk starts.
  const auto table =
      std::make_unique<gpt::Table>(MakeInstalledTable(disk, layout, job.plan.id, job.random));
  TableIo io(block, disk.device);
  if (const int error = gpt::WriteTable(io, *table); error != 0) {
    return io.status.ok() ? absl::InternalError(absl::StrCat("the table does not fit: ", error))
                          : io.status;
  }
  return storage::RemoveMark(block, disk.device, disk.size);
}

}  // namespace basalt::install
