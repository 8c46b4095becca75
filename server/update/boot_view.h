// What there is to boot from: the kernel images on the boot partition, and which slot holds the
// root of each. Read from the disk and from nothing else; a kernel image that cannot be read is one
// that leads nowhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/host/boot_disk.h"
#include "server/update/entry_name.h"
#include "server/update/kernel_image.h"

namespace basalt::update {

struct BootEntry {
  std::string file;
  EntryName name;
  int64_t size = 0;
  std::optional<KernelImage> kernel;   // empty: damaged, or not one of ours
  std::optional<host::BootSlot> slot;  // that holds its root
  bool operator==(const BootEntry&) const = default;
};

struct BootView {
  std::vector<BootEntry> entries;          // by file name
  std::vector<host::BootFile> unfinished;  // "*.tmp": a write that was cut short, or waits
  uint64_t free_bytes = 0;

  // nullptr: none. Of several the one that the loader prefers.
  const BootEntry* OfRoot(const std::string& root) const;
  const BootEntry* OfSlot(host::BootSlot slot) const;
};

absl::StatusOr<BootView> LookAtBoot(host::BootDisk& disk, host::BootFiles& files);

// Whether the loader would boot `a` before `b`.
bool BootsBefore(const EntryName& a, const EntryName& b);

}  // namespace basalt::update
