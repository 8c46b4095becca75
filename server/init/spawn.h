// What happens in a forked child until its program runs: no decision, no allocation, only system
// calls. One thread.
#pragma once

#include <cstdint>

#include "server/init/core/os.h"

namespace basalt::init {

// What the child tells its parent through a pipe that closes itself on exec.
struct SpawnReport {
  enum Stage : int32_t { kCgroup, kExec };
  Stage stage;
  int32_t error;
};

// In the child of fork, never returns. Signals default and unblocked, a session of its own, cwd /,
// umask 022, stdin /dev/null, stdout and stderr to `output_fd`, `fds` from 3 on and nothing else.
// `apart`: a mount namespace that has neither STATE nor ESP.
[[noreturn]] void BecomeService(const SpawnRequest& request, const char* cgroup_base,
                                int report_fd);

// The same for noded: stdin, stdout and stderr stay, `channel_fd` becomes kNodedFd, and it gets
// SIGTERM when noded-init (`init_pid`) dies: it can do nothing alone. Below PID 1 it has a cgroup
// of its own and is the last that the kernel ends for want of memory.
[[noreturn]] void BecomeNoded(char* const* argv, int channel_fd, int init_pid,
                              const char* cgroup_base, int report_fd);

// Reads reports until exec closed the pipe, for at most one second: a child that hangs in exec (a
// dead disk) must not hang PID 1. 0, or the errno of exec; `cgroup_error` is 0 or an errno.
int ReadReports(int report_fd, int* cgroup_error);

}  // namespace basalt::init
