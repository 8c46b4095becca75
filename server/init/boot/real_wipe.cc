// In a file of its own: <linux/fs.h> and <sys/mount.h> do not go together.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "server/init/boot/real_machine.h"

namespace basalt::init {

int RealMachine::Erase(const char* device, Erasure how, uint64_t offset, uint64_t size) {
  uint64_t range[2] = {offset, size};
  // Zeros that take their room: what is only unmapped may come back on some disks.
  const unsigned long order = how == Erasure::kZero      ? BLKZEROOUT
                              : how == Erasure::kDiscard ? BLKDISCARD
                                                         : BLKSECDISCARD;
  int fd = open(device, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  int error = ioctl(fd, order, range) == 0 && fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return error;
}

}  // namespace basalt::init
