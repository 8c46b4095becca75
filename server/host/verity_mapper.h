// Devices of the device-mapper that verify what is read of them (dm-verity), by ioctl, with no
// library and no udev: the kernel makes /dev/dm-N by itself. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/host/fd.h"

namespace basalt::host {

// Data and tree on one device: a superblock lies between, blocks of 4 KiB, sha256.
struct VerityTable {
  std::string device;     // "/dev/loop0"
  uint64_t blocks = 0;    // of data
  std::string root_hash;  // 64 lower hex digits
  std::string salt;       // lower hex
};
// The line that the kernel takes: without a word of what to do about a wrong block, it is EIO.
std::string VerityLine(const VerityTable& table);

class VerityMapper {
 public:
  // Unavailable: this kernel has no device-mapper.
  static absl::StatusOr<VerityMapper> Open();

  // The path of the device of that name; the one that is there already when it is whole.
  absl::StatusOr<std::string> Create(const std::string& name, const VerityTable& table);
  // OK when there is none. FailedPrecondition: in use; it goes with its last user.
  absl::Status Remove(const std::string& name);
  // A wrong block was read since it was made.
  bool IsCorrupt(const std::string& name);

 private:
  explicit VerityMapper(UniqueFd control) : control_(std::move(control)) {}
  UniqueFd control_;
};

}  // namespace basalt::host
