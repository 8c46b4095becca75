#include "server/update/boot_view.h"

#include "absl/strings/match.h"

namespace basalt::update {

bool BootsBefore(const EntryName& a, const EntryName& b) {
  if (a.given_up() != b.given_up()) return b.given_up();
  if (const int order = CompareVersions(a.version, b.version); order != 0) return order > 0;
  if (a.counted != b.counted) return b.counted;
  return a.left != b.left ? a.left > b.left : a.done < b.done;
}

const BootEntry* BootView::OfRoot(const std::string& root) const {
  const BootEntry* best = nullptr;
  for (const BootEntry& entry : entries) {
    if (!entry.kernel || entry.kernel->root.ToString() != root) continue;
    if (best == nullptr || BootsBefore(entry.name, best->name)) best = &entry;
  }
  return best;
}

const BootEntry* BootView::OfSlot(host::BootSlot slot) const {
  const BootEntry* best = nullptr;
  for (const BootEntry& entry : entries) {
    if (entry.slot != slot) continue;
    if (best == nullptr || BootsBefore(entry.name, best->name)) best = &entry;
  }
  return best;
}

absl::StatusOr<BootView> LookAtBoot(host::BootDisk& disk, host::BootFiles& files) {
  BootView view;
  absl::StatusOr<std::vector<host::BootFile>> all = files.List();
  if (!all.ok()) return all.status();
  absl::StatusOr<uint64_t> free = files.FreeBytes();
  if (!free.ok()) return free.status();
  view.free_bytes = *free;
  for (const host::BootFile& file : *all) {
    if (absl::EndsWith(file.name, kUnfinished)) view.unfinished.push_back(file);
    std::optional<EntryName> name = ParseEntryName(file.name);
    if (!name) continue;
    BootEntry entry{.file = file.name, .name = *std::move(name), .size = file.size};
    absl::StatusOr<KernelImage> kernel = InspectKernel(
        [&](uint64_t offset, size_t size) { return files.Read(file.name, offset, size); });
    if (kernel.ok()) {
      entry.kernel = *std::move(kernel);
      const RootId& root = entry.kernel->root;
      // The running one first: the same root may have been left in the other.
      for (host::BootSlot slot : {disk.running_slot(), host::Other(disk.running_slot())}) {
        if (entry.slot) break;
        absl::StatusOr<std::string> superblock =
            disk.ReadSlot(slot, root.blocks * kBlockSize, kSuperblockSize);
        if (superblock.ok() && IsSuperblockOf(*superblock, root)) entry.slot = slot;
      }
    }
    view.entries.push_back(std::move(entry));
  }
  return view;
}

}  // namespace basalt::update
