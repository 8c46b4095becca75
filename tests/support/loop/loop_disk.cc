#include "tests/support/loop/loop_disk.h"

#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace basalt::testing {
namespace {

bool Partition(int fd, int operation, int number, uint64_t start, uint64_t size) {
  blkpg_partition partition = {};
  partition.pno = number;
  partition.start = static_cast<long long>(start);
  partition.length = static_cast<long long>(size);
  blkpg_ioctl_arg order = {operation, 0, sizeof partition, &partition};
  return ioctl(fd, BLKPG, &order) == 0;
}

}  // namespace

std::unique_ptr<LoopDisk> LoopDisk::Make(uint64_t size, std::string* why) {
  std::unique_ptr<LoopDisk> disk(new LoopDisk);
  std::string path = "/tmp/basalt-loop-XXXXXX";
  const int file = mkostemp(path.data(), O_CLOEXEC);
  const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  disk->file_ = path;
  *why = std::string("no loop device: ") + strerror(errno);
  // Another test may take the free one first.
  for (int attempt = 0; attempt < 16 && control >= 0 && disk->fd_ < 0; ++attempt) {
    const int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0 || ftruncate(file, static_cast<off_t>(size)) != 0) break;
    const std::string device = "/dev/loop" + std::to_string(number);
    const int fd = open(device.c_str(), O_RDWR | O_CLOEXEC);
    if (fd >= 0 && ioctl(fd, LOOP_SET_FD, file) == 0) {
      disk->fd_ = fd;
      disk->device_ = device;
    } else if (fd >= 0) {
      close(fd);
    }
  }
  if (disk->fd_ < 0) *why = std::string("no loop device: ") + strerror(errno);
  if (control >= 0) close(control);
  close(file);
  if (disk->fd_ < 0) return nullptr;
  return disk;
}

LoopDisk::~LoopDisk() {
  if (fd_ >= 0) {
    for (int number = 1; number <= 8; ++number) Partition(fd_, BLKPG_DEL_PARTITION, number, 0, 0);
    ioctl(fd_, LOOP_CLR_FD);
    close(fd_);
  }
  unlink(file_.c_str());
}

void LoopDisk::Enlarge(uint64_t size) {
  if (truncate(file_.c_str(), static_cast<off_t>(size)) == 0) ioctl(fd_, LOOP_SET_CAPACITY);
}

bool LoopDisk::AddPartition(int number, uint64_t start, uint64_t size) {
  return Partition(fd_, BLKPG_ADD_PARTITION, number, start, size);
}

bool OwnMounts() {
  return unshare(CLONE_NEWNS) == 0 &&
         mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

}  // namespace basalt::testing
