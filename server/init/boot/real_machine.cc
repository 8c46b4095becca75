// Files, mounts, modules and links; processes and power are in real_power.cc.
#include "server/init/boot/real_machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/blkpg.h>
#include <linux/random.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace basalt::init {
namespace {

constexpr ino_t kMachinePidNamespace = 0xEFFFFFFC;  // PROC_PID_INIT_INO, since Linux 3.8

// Opens, calls, closes: `use(fd)` is 0 or an errno.
template <typename Use>
int WithFile(const char* path, int flags, Use use) {
  int fd = open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  int error = use(fd);
  close(fd);
  return error;
}

int SyncDirectoryOf(const char* path) {
  char copy[512];
  if (snprintf(copy, sizeof copy, "%s", path) >= static_cast<int>(sizeof copy)) return ENAMETOOLONG;
  return WithFile(dirname(copy), O_RDONLY | O_DIRECTORY, [](int fd) {
    // On FAT what a file is about stands in its directory, which syncfs writes; the fsync behind it
    // makes the disk flush, which syncfs does not.
    return syncfs(fd) == 0 && fsync(fd) == 0 ? 0 : errno;
  });
}

int WriteAll(int fd, const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    at += n;
    size -= static_cast<size_t>(n);
  }
  return 0;
}

// Does the kernel print the level of our lines on the console by itself?
bool KernelShowsThem() {
  char level[8] = {};
  WithFile("/proc/sys/kernel/printk", O_RDONLY,
           [&](int fd) { return read(fd, level, sizeof level - 1) < 0 ? errno : 0; });
  return atoi(level) > 6;
}

}  // namespace

bool RealMachine::OwnsKernel() {
  struct stat info = {};
  return stat("/proc/self/ns/pid", &info) == 0 && info.st_ino == kMachinePidNamespace;
}

bool RealMachine::Exists(const char* path) { return access(path, F_OK) == 0; }

bool RealMachine::IsMounted(const char* path) {
  struct statx info = {};
  return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &info) == 0 &&
         (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

int RealMachine::MakeDirectory(const char* path, unsigned mode) {
  if (mkdir(path, mode) == 0) return chmod(path, mode) == 0 ? 0 : errno;  // the umask took bits
  return errno == EEXIST ? 0 : errno;
}

int RealMachine::SetMode(const char* path, unsigned mode) {
  return chmod(path, mode) == 0 ? 0 : errno;
}

long RealMachine::Read(const char* path, uint64_t offset, void* data, size_t size) {
  size_t done = 0;
  int error = WithFile(path, O_RDONLY, [&](int fd) {
    while (done < size) {
      ssize_t n = pread(fd, static_cast<char*>(data) + done, size - done,
                        static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno;
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return 0;
  });
  return error != 0 ? -error : static_cast<long>(done);
}

int RealMachine::Write(const char* path, const void* data, size_t size) {
  return WithFile(path, O_WRONLY, [&](int fd) {
    ssize_t n = write(fd, data, size);
    return n == static_cast<ssize_t>(size) ? 0 : n < 0 ? errno : EIO;
  });
}

int RealMachine::WriteDurably(const char* path, uint64_t offset, const void* data, size_t size) {
  return WithFile(path, O_WRONLY, [&](int fd) {
    ssize_t n = pwrite(fd, data, size, static_cast<off_t>(offset));
    if (n != static_cast<ssize_t>(size)) return n < 0 ? errno : EIO;
    return fsync(fd) == 0 ? 0 : errno;
  });
}

int RealMachine::Replace(const char* path, const void* data, size_t size) {
  char temporary[512];
  if (snprintf(temporary, sizeof temporary, "%s.new", path) >= static_cast<int>(sizeof temporary)) {
    return ENAMETOOLONG;
  }
  int error = WithFile(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, [&](int fd) {
    int written = WriteAll(fd, data, size);
    if (written != 0) return written;
    return fsync(fd) == 0 ? 0 : errno;
  });
  if (error == 0) error = Rename(temporary, path);
  if (error != 0) unlink(temporary);
  return error;
}

int RealMachine::Copy(const char* from, const char* to, size_t most, unsigned mode) {
  int error = WithFile(from, O_RDONLY, [&](int in) {
    return WithFile(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, [&](int out) {
      static char part[64 << 10];
      for (size_t done = 0;;) {
        ssize_t n = read(in, part, sizeof part);
        if (n == 0) return fchmod(out, mode) == 0 && fsync(out) == 0 ? 0 : errno;
        if (n < 0) return errno;
        done += static_cast<size_t>(n);
        if (done > most) return EFBIG;
        if (int failed = WriteAll(out, part, static_cast<size_t>(n)); failed != 0) return failed;
      }
    });
  });
  if (error != 0) unlink(to);
  return error;
}

int RealMachine::Rename(const char* from, const char* to) {
  if (rename(from, to) != 0) return errno;
  return SyncDirectoryOf(to);
}

int RealMachine::Remove(const char* path) {
  if (unlink(path) != 0) return errno == ENOENT ? 0 : errno;
  return SyncDirectoryOf(path);
}

int RealMachine::List(const char* directory, Names* names) {
  names->count = 0;
  names->more = false;
  return WithFile(directory, O_RDONLY | O_DIRECTORY, [&](int fd) {
    alignas(struct dirent64) char entries[8192];  // opendir would allocate
    for (;;) {
      long n = syscall(SYS_getdents64, fd, entries, sizeof entries);
      if (n < 0) return errno;
      if (n == 0) return 0;
      for (long at = 0; at < n;) {
        auto* entry = reinterpret_cast<struct dirent64*>(entries + at);
        at += entry->d_reclen;
        size_t length = strlen(entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (names->count == Names::kMost || length >= Names::kSize) {
          names->more = true;
          continue;
        }
        memcpy(names->name[names->count++], entry->d_name, length + 1);
      }
    }
  });
}

int RealMachine::DeviceOf(const char* path, unsigned* device_major, unsigned* device_minor) {
  struct stat info = {};
  if (stat(path, &info) != 0) return errno;
  *device_major = major(info.st_dev);
  *device_minor = minor(info.st_dev);
  return 0;
}

int RealMachine::Mount(const char* source, const char* target, const char* type,
                       unsigned long flags, const char* options) {
  return mount(source, target, type, flags, options) == 0 ? 0 : errno;
}

int RealMachine::Unmount(const char* target) {
  return umount2(target, UMOUNT_NOFOLLOW) == 0 ? 0 : errno;
}

int RealMachine::ResizePartition(const char* disk, int number, uint64_t start, uint64_t size) {
  struct blkpg_partition partition = {};
  partition.start = static_cast<long long>(start);
  partition.length = static_cast<long long>(size);
  partition.pno = number;
  struct blkpg_ioctl_arg order = {
      .op = BLKPG_RESIZE_PARTITION, .flags = 0, .datalen = sizeof partition, .data = &partition};
  return WithFile(disk, O_RDONLY,
                  [&](int fd) { return ioctl(fd, BLKPG, &order) == 0 ? 0 : errno; });
}

int RealMachine::LoadModule(const char* path) {
  return WithFile(path, O_RDONLY,
                  [](int fd) { return syscall(SYS_finit_module, fd, "", 0) == 0 ? 0 : errno; });
}

int RealMachine::LinkUp(const char* interface) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  struct ifreq request = {};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
  int error = ioctl(fd, SIOCGIFFLAGS, &request) == 0 ? 0 : errno;
  if (error == 0) {
    request.ifr_flags |= IFF_UP;
    error = ioctl(fd, SIOCSIFFLAGS, &request) == 0 ? 0 : errno;
  }
  close(fd);
  return error;
}

int RealMachine::SetLimits(uint64_t files) {
  // The kernel gives PID 1 a hard limit of 4,096; the soft one is each service's own to raise.
  struct rlimit descriptors = {.rlim_cur = 1024, .rlim_max = files};
  struct rlimit processes = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  struct rlimit core = {.rlim_cur = 0, .rlim_max = 0};
  int error = 0;
  if (setrlimit(RLIMIT_CORE, &core) != 0) error = errno;
  if (setrlimit(RLIMIT_NPROC, &processes) != 0) error = errno;
  if (setrlimit(RLIMIT_NOFILE, &descriptors) != 0) error = errno;
  return error;
}

int RealMachine::RandomBytes(void* data, size_t size) {
  // Not waiting: the seed of a machine that has gathered little yet is still better than none.
  return getrandom(data, size, GRND_INSECURE) == static_cast<ssize_t>(size) ? 0 : errno;
}

int RealMachine::AddEntropy(const void* data, size_t size, bool credit) {
  struct {
    int bits;
    int size;
    char data[512];
  } pool;
  static_assert(offsetof(struct rand_pool_info, buf) == 2 * sizeof(int));
  if (size > sizeof pool.data) size = sizeof pool.data;
  // 256 bits are all that the generator takes; more would claim what nobody has measured.
  pool.bits = credit ? 256 : 0;
  pool.size = static_cast<int>(size);
  memcpy(pool.data, data, size);
  int error = WithFile("/dev/urandom", O_RDONLY,
                       [&](int fd) { return ioctl(fd, RNDADDENTROPY, &pool) == 0 ? 0 : errno; });
  explicit_bzero(&pool, sizeof pool);
  return error;
}

void RealMachine::Say(const char* text) { SayToConsole(text); }

void SayToConsole(const char* text) {
  char line[320];
  int length = snprintf(line, sizeof line, "<6>noded-init: %s\n", text);
  if (length <= 0) return;
  size_t size =
      static_cast<size_t>(length) < sizeof line ? static_cast<size_t>(length) : sizeof line - 1;
  bool logged = WithFile("/dev/kmsg", O_WRONLY | O_NONBLOCK,
                         [&](int fd) { return write(fd, line, size) < 0 ? errno : 0; }) == 0;
  if (logged && KernelShowsThem()) return;
  // A console that takes nothing (flow control, a dead UART) must not stop PID 1.
  struct pollfd poller = {.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&poller, 1, 0) != 1 || (poller.revents & POLLOUT) == 0) return;
  (void)!write(STDERR_FILENO, line + 3, size - 3);
}

}  // namespace basalt::init
