// The end of the machine, after the services and noded have stopped: everything else is killed,
// what is written reaches the disks, and the power goes. Every step has a limit, so the whole has
// one.
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

inline constexpr int64_t kTermLimit = 5000000000;    // pods: they had their grace from kubelet
inline constexpr int64_t kKillLimit = 5000000000;    // a process in D state is left behind
inline constexpr int64_t kFlushLimit = 20000000000;  // sync and unmount; a dead disk is left behind

void EndMachine(Machine& machine, End end);

// Unmounts what can be, the newest first, and makes the rest read-only. How many are left writable.
int UnmountAll(Machine& machine);

// The mount point of a line of /proc/self/mounts, with its \040 escapes undone. Pure.
bool MountPointOf(const char* line, size_t length, char* path, size_t size);

}  // namespace basalt::init
