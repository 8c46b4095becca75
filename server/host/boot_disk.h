// The part of a machine's disk that it is started from: two slots for root file systems, and the
// files on the boot partition (ESP) by which the boot loader finds a kernel image for one of them.
// Calls block and come from one thread at a time.
//
// What is written is durable after the sync that follows it, and not before: a power cut may keep
// any part of it. A rename or remove on the boot partition is durable when it returns; what a power
// cut leaves of one is said there. The slot that runs is never written.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::host {

enum class BootSlot { kA, kB };
inline BootSlot Other(BootSlot slot) { return slot == BootSlot::kA ? BootSlot::kB : BootSlot::kA; }
inline absl::string_view ToString(BootSlot slot) { return slot == BootSlot::kA ? "a" : "b"; }

// How the name of a file ends that is not whole yet; the loader looks at none of these.
inline constexpr absl::string_view kUnfinishedEnd = ".tmp";

struct BootFile {
  std::string name;
  int64_t size = 0;
  bool operator==(const BootFile&) const = default;
};

// The directory EFI/Linux of the boot partition, mounted as long as this lives. Names are one path
// component of letters, digits and ".+_~-", else InvalidArgument.
class BootFiles {
 public:
  virtual ~BootFiles() = default;
  virtual absl::StatusOr<std::vector<BootFile>> List() = 0;  // regular files, sorted by name
  // Shorter than `size` at the end of the file. NotFound.
  virtual absl::StatusOr<std::string> Read(const std::string& name, uint64_t offset,
                                           size_t size) = 0;
  // At the end; the file is made when it is absent. ResourceExhausted "esp-full".
  virtual absl::Status Append(const std::string& name, absl::string_view bytes) = 0;
  // Durable; what is read next comes from the disk.
  virtual absl::Status Sync(const std::string& name) = 0;
  // NotFound; AlreadyExists: nothing is replaced. On FAT the kernel writes the new name with no
  // content, takes the old one away, and only then fills the content in: a power cut loses the
  // file. So this copies, and removes the old one last: a cut leaves the old one, both, or the new
  // one, and maybe an empty or an unfinished file, which the next call goes on from. Wants room for
  // the copy (ResourceExhausted "esp-full"). An unfinished file is renamed without a copy: a cut
  // may leave an empty one under the new name and nothing else.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& name) = 0;  // OK when it is absent
  virtual absl::StatusOr<uint64_t> FreeBytes() = 0;
};

class BootDisk {
 public:
  virtual ~BootDisk() = default;
  // What the kernel was told: "HEX64:BLOCKS", the root hash and the size of what it covers.
  virtual std::string running_root() const = 0;
  virtual BootSlot running_slot() const = 0;  // where the root's device maps to

  virtual absl::StatusOr<uint64_t> SlotSize(BootSlot slot) = 0;
  // Shorter than `size` at the end of the slot.
  virtual absl::StatusOr<std::string> ReadSlot(BootSlot slot, uint64_t offset, size_t size) = 0;
  // FailedPrecondition "slot-in-use" for the one that runs; OutOfRange beyond its end.
  virtual absl::Status WriteSlot(BootSlot slot, uint64_t offset, absl::string_view bytes) = 0;
  virtual absl::Status SyncSlot(BootSlot slot) = 0;  // as BootFiles::Sync
  // To read only, or to change: a FAT that is mounted to be changed is written to at once.
  enum class Open { kRead, kChange };
  virtual absl::StatusOr<std::unique_ptr<BootFiles>> OpenFiles(Open how) = 0;
};

// Where all that is. Devices, or plain files and a directory in tests.
struct BootDiskPlaces {
  std::string slot_a, slot_b;
  std::string esp;       // device to mount, or with `mount_at` empty the directory itself
  std::string mount_at;  // made when it is absent
  std::string running_root;
  BootSlot running = BootSlot::kA;
};

// Looks below `root` ("" but in tests) at /proc/cmdline and /sys: the slot under the root's
// device-mapper device, and its neighbours on the same disk. Reasons: no-boot-slots
// (FailedPrecondition: this system was not started from a slot).
absl::StatusOr<BootDiskPlaces> FindBootDisk(const std::string& root, unsigned root_major,
                                            unsigned root_minor);

std::unique_ptr<BootDisk> OpenBootDisk(BootDiskPlaces places);

}  // namespace basalt::host
