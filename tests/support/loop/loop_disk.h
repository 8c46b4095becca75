// A real block device on a file, for root on a machine with loop devices. Its partitions are told
// to the kernel one by one, as it would read them from the table: not every kernel that runs tests
// can read tables. Everything is gone with the object.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace basalt::testing {

class LoopDisk {
 public:
  // Null where that cannot be had; *why says it, for GTEST_SKIP.
  static std::unique_ptr<LoopDisk> Make(uint64_t size, std::string* why);
  ~LoopDisk();
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;

  const std::string& device() const { return device_; }  // "/dev/loop3"
  const std::string& file() const { return file_; }
  std::string name() const { return device_.substr(5); }
  void Enlarge(uint64_t size);
  bool AddPartition(int number, uint64_t start, uint64_t size);

 private:
  LoopDisk() = default;
  std::string file_, device_;
  int fd_ = -1;
};

// This process alone sees what it mounts from now on. False where that is not allowed.
bool OwnMounts();

}  // namespace basalt::testing
