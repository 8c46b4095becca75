// A machine's boot disk in memory that distinguishes durable from volatile content, and the boot
// loader that starts from it. It keeps every rule of the real one (the conformance suite in
// tests/unit/server/host runs against both). Single-threaded.
//
//   disk.CutAfter(3);        the power goes when three more changes have been made
//   disk.CutPower(seed);     what a boot finds; ends a cut
//   disk.Boot()              the loader: counts, picks, and the root of what it picked runs
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/host/boot_disk.h"

namespace basalt::testing {

class FakeBootDisk : public host::BootDisk {
 public:
  FakeBootDisk(size_t slot_size, uint64_t esp_size);

  // --- the machine
  // An image that is there from the start, durably. `entry` is the name of its kernel's file.
  void Install(host::BootSlot slot, const std::string& slot_bytes, const std::string& entry,
               const std::string& kernel);
  void Run(host::BootSlot slot, const std::string& root);
  // Boots until something runs: the loader takes an entry off its tries and starts it; one whose
  // kernel was never whole, or whose root is in no slot whole, restarts. False after 10 starts.
  // `broken`: versions that panic. True: running_root() is what runs now.
  bool Boot(const std::vector<std::string>& broken = {});
  // What PID 1 does when a boot is healthy.
  void Bless();
  // The content that a kernel or a slot has to have to boot: by its file, by its root.
  std::map<std::string, std::string> whole_kernels;  // version → bytes
  std::map<std::string, std::string> whole_roots;    // root → bytes of the slot

  // --- faults
  void CutAfter(int64_t changes) { cut_after_ = changes; }
  bool cut() const { return cut_; }
  void Cut() { cut_ = true; }
  void CutPower(uint64_t seed);
  int64_t changes() const { return changes_; }
  // The power of a machine is one: whether others of its disks have it, and that it went here.
  std::function<bool()> powered = [] { return true; };
  std::function<void()> on_cut = [] {};
  // Bytes that come back differently than they were written, once they are synced.
  bool bad_medium = false;
  int mounts = 0;

  std::map<std::string, std::string> files() const;  // of EFI/Linux, as they are now
  std::vector<std::string> names() const;
  std::string slot(host::BootSlot slot) const { return slots_[Index(slot)]; }

  // --- BootDisk
  std::string running_root() const override { return running_root_; }
  host::BootSlot running_slot() const override { return running_; }
  absl::StatusOr<uint64_t> SlotSize(host::BootSlot slot) override;
  absl::StatusOr<std::string> ReadSlot(host::BootSlot slot, uint64_t offset, size_t size) override;
  absl::Status WriteSlot(host::BootSlot slot, uint64_t offset, absl::string_view bytes) override;
  absl::Status SyncSlot(host::BootSlot slot) override;
  absl::StatusOr<std::unique_ptr<host::BootFiles>> OpenFiles(Open how) override;

 private:
  friend class FakeBootFiles;
  struct File {
    std::string now;
    std::string durable;
    bool synced_once = false;
  };
  static size_t Index(host::BootSlot slot) { return slot == host::BootSlot::kA ? 0 : 1; }
  absl::Status Change();  // one more change; Unavailable when the power is gone
  uint64_t Free() const;

  const uint64_t esp_size_;
  std::string slots_[2];
  std::string durable_[2];
  std::map<std::string, File> files_;
  host::BootSlot running_ = host::BootSlot::kA;
  std::string running_root_;
  int64_t changes_ = 0;
  int64_t cut_after_ = -1;
  bool cut_ = false;
};

}  // namespace basalt::testing
