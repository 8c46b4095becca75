// The steps that change what the machine boots, each in the order that a power cut at any moment
// leaves a machine that boots one whole image. Blocking; each may be repeated.
//
//   the other slot     entries that lead into it go first; then it is written, synced, read back
//   the kernel image   written as "NAME.tmp", synced, read back; nothing boots it yet
//   arm                one rename. An older image also needs the running one to stand back
//   go back            the image before is made good, then the running one is given up
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "machineconfig/sign/image_manifest.h"
#include "server/host/fd.h"
#include "server/update/boot_view.h"

namespace basalt::update {

// One slot written from a file, in pieces, hashed on the way; then read back and hashed again.
class SlotCopy {
 public:
  SlotCopy(host::BootDisk& disk, host::BootSlot slot, std::shared_ptr<host::UniqueFd> from,
           const sign::ImageManifest& manifest);
  ~SlotCopy();

  // The next piece. True when the slot holds the image. DataLoss "slot-damaged": other bytes came
  // back than were written; "artifact-damaged": other bytes than the manifest names were read.
  absl::StatusOr<bool> Step();
  int64_t done() const { return done_; }  // bytes, written and read back
  int64_t total() const { return 2 * size_; }

 private:
  struct Hash;
  absl::Status Write();
  absl::StatusOr<bool> ReadBack();

  host::BootDisk& disk_;
  const host::BootSlot slot_;
  const std::shared_ptr<host::UniqueFd> from_;
  const int64_t size_;
  const Digest wanted_;
  const std::string root_;
  int64_t done_ = 0;
  std::unique_ptr<Hash> hash_;
};

// Does the slot hold exactly this image already? Reads all of it.
absl::StatusOr<bool> SlotHolds(host::BootDisk& disk, host::BootSlot slot,
                               const sign::ImageManifest& manifest);
// The file on the boot partition that is this kernel image, under whichever name: "" for none.
absl::StatusOr<std::string> FindKernel(host::BootFiles& files, const BootView& view,
                                       const sign::ImageManifest& manifest);

// As "noded_VERSION+3.efi.tmp". DataLoss "kernel-damaged": other bytes came back.
absl::Status WriteKernel(host::BootFiles& files, int from, const sign::ImageManifest& manifest);

// The next boot tries `manifest`'s image. The running one stays good when the loader prefers the
// other anyway; else it stands back, given up until it is called good again.
absl::Status Arm(host::BootFiles& files, const BootView& view, const std::string& root,
                 const std::string& version, const std::string& running);

// Undoes Arm before a boot: the running one is good, the other given up, or good where it was.
absl::Status Disarm(host::BootFiles& files, const BootView& view, const std::string& root,
                    bool was_good, const std::string& running);

// The next boot is the image of `root`. FailedPrecondition "no-image-to-return-to": it is not
// there whole any more.
absl::Status GoBack(host::BootFiles& files, const BootView& view, const std::string& root,
                    const std::string& running);

}  // namespace basalt::update
