// Disks, partitions, mounts and swap, as a controller reasons about them. Real: real_block.cc,
// thin. Fake with a memory: tests/support/block. One conformance suite runs against both.
//
// Thread-safety: calls may come from several threads; two that change the same disk must be ordered
// by the caller. They may wait for a disk, so not on the loop thread, but for Mounts and Swaps.
// Errors carry errno's text; NotFound: no such device; FailedPrecondition: in use.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::host {

enum class DiskType { kOther, kNvme, kSsd, kHdd, kUsb, kSd, kEmmc, kVirtio };

struct BlockPartition {
  int number = 0;
  std::string name;    // of the GPT; "" when it has none
  std::string device;  // "/dev/vda5"
  uint64_t start = 0;  // bytes
  uint64_t size = 0;
  bool operator==(const BlockPartition&) const = default;
};

// Of a disk that can hold data: no loop device, memory, optical drive or device of the mapper.
struct BlockDisk {
  std::string device;  // "/dev/nvme0n1"
  uint64_t size = 0;   // bytes
  uint32_t sector = 512;
  std::string model, serial, wwn;  // as the disk tells them; "" when it does not
  std::vector<std::string> ids;    // names that udev would make below /dev/disk/by-id
  DiskType type = DiskType::kOther;
  bool read_only = false;
  bool discards = false;                   // it can be told to forget
  std::vector<BlockPartition> partitions;  // as the kernel has them, by number
  bool operator==(const BlockDisk&) const = default;
};

struct BlockMount {
  std::string source;  // "/dev/vda6"
  std::string target;
  std::string type;
  bool no_exec = false;
  bool read_only = false;  // also when the kernel found the file system damaged
  bool operator==(const BlockMount&) const = default;
};

struct MountRequest {
  std::string device;
  std::string target;  // made when it is missing
  std::string type;
  bool no_exec = true;  // beside nosuid, nodev and noatime, always
};

enum class Erasure { kZero, kDiscard, kSecureDiscard };

struct SwapArea {
  std::string path;
  uint64_t size = 0;  // bytes that it holds
  bool operator==(const SwapArea&) const = default;
};

struct Space {
  uint64_t total = 0;
  uint64_t available = 0;
};

class BlockDevices {
 public:
  virtual ~BlockDevices() = default;
  virtual absl::StatusOr<std::vector<BlockDisk>> Disks() = 0;
  // Of the file system that `path` lies on: "/dev/vda5". NotFound when it is of no device.
  virtual absl::StatusOr<std::string> DeviceOf(const std::string& path) = 0;

  // Whole, or an error. What the disk holds now, through whichever of its devices it was written.
  virtual absl::StatusOr<std::string> Read(const std::string& device, uint64_t offset,
                                           size_t size) = 0;
  // Durable when it returns.
  virtual absl::Status Write(const std::string& device, uint64_t offset,
                             absl::string_view data) = 0;

  // What was there is gone, and reads as zeros at least of kZero. Durable. Unimplemented: this disk
  // cannot.
  virtual absl::Status Erase(const std::string& device, Erasure how, uint64_t offset,
                             uint64_t size) = 0;

  // What the kernel knows of a disk's partitions; nothing is written. Growing one may be done while
  // it is mounted.
  virtual absl::Status AddPartition(const std::string& disk, int number, uint64_t start,
                                    uint64_t size) = 0;
  virtual absl::Status ResizePartition(const std::string& disk, int number, uint64_t start,
                                       uint64_t size) = 0;
  virtual absl::Status RemovePartition(const std::string& disk, int number) = 0;

  virtual absl::StatusOr<std::vector<BlockMount>> Mounts() = 0;  // of devices below /dev
  virtual absl::Status Mount(const MountRequest& request) = 0;
  virtual absl::Status Unmount(const std::string& target) = 0;  // FailedPrecondition: in use
  virtual absl::StatusOr<Space> SpaceOf(const std::string& path) = 0;
  // Tells the disk below which blocks are free; how many bytes. 0 where a disk takes no such hints.
  virtual absl::StatusOr<uint64_t> Trim(const std::string& target) = 0;

  virtual absl::StatusOr<std::vector<SwapArea>> Swaps() = 0;
  virtual absl::Status SwapOn(const std::string& path, int priority) = 0;
  // FailedPrecondition: what it holds has no room in memory.
  virtual absl::Status SwapOff(const std::string& path) = 0;
  // A new file of that size, without holes, that nobody else can read. An older one is replaced.
  virtual absl::Status MakeSwapFile(const std::string& path, uint64_t size) = 0;
  // The first device of compressed memory, empty and of that size; it must not be in use. Size 0:
  // given back. NotFound: this kernel has none. InvalidArgument: not that algorithm.
  virtual absl::StatusOr<std::string> SetZram(uint64_t size, const std::string& algorithm) = 0;
  virtual absl::Status SetSwappiness(int value) = 0;
};

std::unique_ptr<BlockDevices> MakeBlockDevices();

// What udev would call a disk below /dev/disk/by-id, from what sysfs says. Pure.
struct DiskFacts {
  std::string name;    // "sda"
  std::string vendor;  // as in sysfs, blanks and all
  std::string model;
  std::string serial;
  std::string wwid;      // "naa.5002538e40a1b2c3", "eui.0025385b71b0a1c2", "t10.ATA ..."
  std::string mmc_type;  // "SD", "MMC"
  bool usb = false;
  bool rotational = false;
};
std::vector<std::string> IdsOf(const DiskFacts& facts);
DiskType TypeOf(const DiskFacts& facts);
std::string WwnOf(const DiskFacts& facts);

}  // namespace basalt::host
