// The disk or file that an image is written to: what it is, and why it must not be. Reads Linux's
// /sys and /proc; `root` is "" but in tests. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace basalt::client {

struct TargetDisk {
  std::string path;  // as it was named
  bool is_file = false;
  bool exists = false;
  // Of a disk:
  std::string name;  // "sdb"
  uint64_t size = 0;
  std::string model, serial;
  bool removable = false;  // a stick, a card, something on USB
  bool read_only = false;
  std::vector<std::string> used_by;  // "/boot (sdb1)", "swap (sdb2)", "dm-0 (sdb3)"
};

// InvalidArgument "not-a-disk" (a partition, a directory, a device of another kind).
absl::StatusOr<TargetDisk> LookAt(const std::string& path, const std::string& root = "");

// FailedPrecondition "disk-in-use" (mounted, swap, below another device: also what runs this
// machine), "disk-read-only", "disk-too-small".
absl::Status CheckTarget(const TargetDisk& disk, uint64_t wanted);

// "/dev/sdb: SanDisk Ultra, 31.9 GB, serial 4C530001"
std::string Describe(const TargetDisk& disk);
// "31.9 GB"
std::string Gigabytes(uint64_t bytes);

}  // namespace basalt::client
