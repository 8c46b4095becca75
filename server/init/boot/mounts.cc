#include "server/init/boot/mounts.h"

#include <sys/mount.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "server/init/boot/report.h"

namespace basalt::init {
namespace {

constexpr unsigned long kClosed = MS_NOSUID | MS_NODEV | MS_NOEXEC;

struct FileSystem {
  const char* source;
  const char* target;
  const char* type;
  unsigned long flags;
  const char* options;
  bool optional;      // not every kernel or firmware has it
  bool kernels_only;  // in a namespace it would be the host's
  unsigned make;      // mode of the mount point where it may be made, 0 where the image has it
};

constexpr FileSystem kEarly[] = {
    {"proc", "/proc", "proc", kClosed, nullptr, false, false, 0},
    {"sysfs", "/sys", "sysfs", kClosed, nullptr, false, true, 0},
    {"devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755", false, true, 0},
    {"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666", false,
     false, 0755},
    {"shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=20%", false, false, 01777},
    // Not noexec: runc and containerd run what they put below /run.
    {"run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=20%", false, false, 0},
    {"tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=20%", false, false, 0},
    {"cgroup2", "/sys/fs/cgroup", "cgroup2", kClosed, "nsdelegate,memory_recursiveprot", false,
     true, 0},
};

constexpr FileSystem kLate[] = {
    {"securityfs", "/sys/kernel/security", "securityfs", kClosed, nullptr, true, true, 0},
    // Read-only: which entry was booted is read here; nothing of ours writes the firmware's memory.
    {"efivarfs", "/sys/firmware/efi/efivars", "efivarfs", kClosed | MS_RDONLY, nullptr, true, true,
     0},
    {"bpf", "/sys/fs/bpf", "bpf", kClosed, "mode=0700", true, true, 0},
    {"mqueue", "/dev/mqueue", "mqueue", kClosed, nullptr, true, false, 01777},
};

// Not there, or not known to this kernel.
bool Absent(int error) { return error == ENOENT || error == ENODEV || error == EOPNOTSUPP; }

int MountOne(Machine& machine, const FileSystem& f) {
  // /proc comes first, and is what tells whose kernel it is.
  if (f.kernels_only && !machine.OwnsKernel()) return 0;
  if (machine.IsMounted(f.target)) return 0;
  if (f.make != 0) machine.MakeDirectory(f.target, f.make);  // a failure is that of the mount
  int error = machine.Mount(f.source, f.target, f.type, f.flags, f.options);
  // An older kernel refuses an option that it does not know: without is better than not at all.
  if (error == EINVAL && f.options != nullptr) {
    error = machine.Mount(f.source, f.target, f.type, f.flags, nullptr);
  }
  if (error == 0 || (f.optional && Absent(error))) return 0;
  Report(machine, "mount-failed", error, "mounts: %s", f.target);
  return error;
}

template <size_t kCount>
int MountAll(Machine& machine, const FileSystem (&table)[kCount]) {
  int failed = 0;
  for (const FileSystem& f : table) failed += MountOne(machine, f) != 0;
  return failed;
}

}  // namespace

int MountEarly(Machine& machine) { return MountAll(machine, kEarly); }
int MountLate(Machine& machine) { return MountAll(machine, kLate); }

int EnableControllers(Machine& machine) {
  if (!machine.OwnsKernel()) return 0;
  char all[512];
  long size = machine.Read("/sys/fs/cgroup/cgroup.controllers", 0, all, sizeof all - 1);
  if (size < 0) {
    Report(machine, "cgroup-failed", static_cast<int>(-size), "cgroups: no cgroup2");
    return static_cast<int>(-size);
  }
  all[size] = 0;
  int enabled = 0;
  int failure = 0;
  char* rest = nullptr;
  // One by one: the kernel takes a list as a whole or not at all.
  for (char* name = strtok_r(all, " \n", &rest); name != nullptr;
       name = strtok_r(nullptr, " \n", &rest)) {
    char order[64];
    int length = snprintf(order, sizeof order, "+%s", name);
    if (length <= 0 || static_cast<size_t>(length) >= sizeof order) continue;
    int error =
        machine.Write("/sys/fs/cgroup/cgroup.subtree_control", order, static_cast<size_t>(length));
    if (error == 0) {
      ++enabled;
    } else {
      failure = error;
      Report(machine, "cgroup-failed", error, "cgroups: controller %s", name);
    }
  }
  Report(machine, nullptr, 0, "cgroups: %d controllers", enabled);
  return failure;
}

int ShareMounts(Machine& machine) {
  int error = machine.Mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr);
  if (error != 0) Report(machine, "mount-failed", error, "mounts: cannot share them");
  return error;
}

}  // namespace basalt::init
