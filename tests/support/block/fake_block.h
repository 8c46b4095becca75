// Disks in memory that remember what was written, which partitions the kernel was told of, what is
// mounted and what is swapped on. It keeps the rules of the real one (one conformance suite runs
// against both). Single-threaded.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/host/block.h"

namespace basalt::testing {

class FakeBlock : public host::BlockDevices {
 public:
  absl::StatusOr<std::vector<host::BlockDisk>> Disks() override;
  absl::StatusOr<std::string> DeviceOf(const std::string& path) override;
  absl::StatusOr<std::string> Read(const std::string& device, uint64_t offset,
                                   size_t size) override;
  absl::Status Write(const std::string& device, uint64_t offset, absl::string_view data) override;
  absl::Status Erase(const std::string& device, host::Erasure how, uint64_t offset,
                     uint64_t size) override;
  absl::Status AddPartition(const std::string& disk, int number, uint64_t start,
                            uint64_t size) override;
  absl::Status ResizePartition(const std::string& disk, int number, uint64_t start,
                               uint64_t size) override;
  absl::Status RemovePartition(const std::string& disk, int number) override;
  absl::StatusOr<std::vector<host::BlockMount>> Mounts() override;
  absl::Status Mount(const host::MountRequest& request) override;
  absl::Status Unmount(const std::string& target) override;
  absl::StatusOr<host::Space> SpaceOf(const std::string& path) override;
  absl::StatusOr<uint64_t> Trim(const std::string& target) override;
  absl::StatusOr<std::vector<host::SwapArea>> Swaps() override;
  absl::Status SwapOn(const std::string& path, int priority) override;
  absl::Status SwapOff(const std::string& path) override;
  absl::Status MakeSwapFile(const std::string& path, uint64_t size) override;
  absl::StatusOr<std::string> SetZram(uint64_t size, const std::string& algorithm) override;
  absl::Status SetSwappiness(int value) override;

  // A disk that is plugged in. Only size has to be said.
  void AddDisk(host::BlockDisk disk);
  void RemoveDisk(const std::string& device);
  // The kernel forgets everything and reads the tables that are on the disks.
  void Reboot();
  // What mke2fs does, for a file system of so many 4 KiB blocks.
  void MakeExt4(const std::string& device, uint64_t blocks);
  // Partitions of the table on the disk: name → (start, size).
  std::vector<host::BlockPartition> TableOf(const std::string& disk);

  size_t writes_left = SIZE_MAX;  // then the power is gone, and each write fails
  size_t writes = 0, reads = 0;
  std::set<host::Erasure> erasures = {host::Erasure::kZero};  // that the disks can
  std::vector<host::Erasure> erased;
  std::string data_device;                          // what DeviceOf says
  std::set<std::string> busy;                       // targets that cannot be unmounted
  std::map<std::string, int> swaps;                 // path → priority
  std::map<std::string, uint64_t> swap_files;       // made, and their size
  std::pair<uint64_t, std::string> zram = {0, ""};  // size, algorithm
  std::set<std::string> algorithms = {"lzo-rle", "lz4", "zstd"};
  bool has_zram = true;
  int swappiness = -1;
  std::vector<std::string> trimmed;
  std::vector<host::BlockMount> mounts;

 private:
  struct Disk {
    host::BlockDisk about;
    std::map<uint64_t, std::string> pages;  // of 4 KiB; what is not there is zero
  };
  // The disk and the offset in it of a device that is a disk or a partition.
  Disk* Find(const std::string& device, uint64_t* start, uint64_t* size);
  std::map<std::string, Disk> disks_;
};

}  // namespace basalt::testing
