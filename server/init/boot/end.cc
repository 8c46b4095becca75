#include "server/init/boot/end.h"

#include <sys/mount.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <initializer_list>

#include "server/init/boot/report.h"
#include "server/init/boot/seed.h"

namespace basalt::init {
namespace {

constexpr char kCgroups[] = "/sys/fs/cgroup";

// The kernel's own: nothing to flush, and the steps after this one need them.
bool IsKernels(const char* path) {
  for (const char* own : {"/proc", "/sys", "/dev", "/run"}) {
    size_t length = strlen(own);
    if (strncmp(path, own, length) == 0 && (path[length] == 0 || path[length] == '/')) return true;
  }
  return strcmp(path, "/") == 0;
}

// What escaped its process group and session did not escape its cgroup.
void KillCgroups(Machine& machine) {
  static Names names;
  if (!machine.OwnsKernel() || machine.List(kCgroups, &names) != 0) return;
  for (int i = 0; i < names.count; ++i) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s/cgroup.kill", kCgroups, names.name[i]);
    machine.Write(path, "1", 1);  // most names are files, not groups: ignoring failures
  }
}

int Flush(Machine& machine) {
  if (machine.OwnsKernel() && machine.IsMounted("/state")) LeaveSeed(machine);
  machine.SyncAll();
  int left = UnmountAll(machine);
  machine.SyncAll();
  return left;
}

}  // namespace

bool MountPointOf(const char* line, size_t length, char* path, size_t size) {
  const void* space = memchr(line, ' ', length);
  if (space == nullptr) return false;
  const char* at = static_cast<const char*>(space) + 1;
  const char* end = line + length;
  size_t used = 0;
  while (at < end && *at != ' ') {
    char c = *at++;
    if (c == '\\' && end - at >= 3) {
      c = static_cast<char>((at[0] - '0') << 6 | (at[1] - '0') << 3 | (at[2] - '0'));
      at += 3;
    }
    if (used + 1 >= size) return false;
    path[used++] = c;
  }
  path[used] = 0;
  return used > 0 && path[0] == '/' && at < end;
}

int UnmountAll(Machine& machine) {
  static char table[64 << 10];
  int left = 0;
  // A node has hundreds of mounts: what did not fit the first time is read once the last are gone.
  for (int round = 0; round < 8; ++round) {
    long size = machine.Read("/proc/self/mounts", 0, table, sizeof table);
    if (size <= 0) return -1;
    int unmounted = 0;
    left = 0;
    size_t end = static_cast<size_t>(size);
    if (table[end - 1] == '\n') --end;
    for (;;) {
      const void* newline = memrchr(table, '\n', end);
      size_t begin = newline != nullptr
                         ? static_cast<size_t>(static_cast<const char*>(newline) - table) + 1
                         : 0;
      char path[1024];
      if (MountPointOf(table + begin, end - begin, path, sizeof path) && !IsKernels(path)) {
        if (machine.Unmount(path) == 0) {
          ++unmounted;
        } else if (!machine.OwnsKernel()) {
          ++left;  // the file system may be its host's: read-only would be read-only for all
        } else if (machine.Mount(nullptr, path, nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
          ++left;
        }
      }
      if (begin == 0) break;
      end = begin - 1;
    }
    if (unmounted == 0) break;
  }
  return left;
}

void EndMachine(Machine& machine, End end) {
  Report(machine, nullptr, 0, "ending: %s", end == End::kReboot ? "reboot" : "power off");
  machine.PetWatchdog();  // between the steps alone: one that hangs is ended by the device
  machine.SignalAll(SIGTERM);
  if (!machine.AwaitNoChildren(kTermLimit)) {
    KillCgroups(machine);
    machine.SignalAll(SIGKILL);
    machine.PetWatchdog();
    if (!machine.AwaitNoChildren(kKillLimit)) {
      Report(machine, "process-left", 0, "ending: a process outlived SIGKILL");
    }
  }
  machine.PetWatchdog();
  int left = machine.Apart(Flush, kFlushLimit);
  if (left != 0) {
    Report(machine, "not-unmounted", left == ETIMEDOUT ? ETIMEDOUT : 0,
           "ending: file systems are left mounted");
  }
  machine.Finish(end);
}

}  // namespace basalt::init
