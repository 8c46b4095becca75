#include "server/init/loop.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace basalt::init {
namespace {

constexpr uint64_t kSignalToken = 4ull << 32;
constexpr uint64_t kTimerToken = 5ull << 32;

int Fail(RealOs& os, const char* what, int error) {
  char line[128];
  snprintf(line, sizeof line, "%s: %s", what, strerror(error));
  os.Say(line);
  return 1;
}

void Arm(int timer_fd, int64_t deadline_ns) {
  struct itimerspec when = {};
  if (deadline_ns != Os::kNever) {
    if (deadline_ns < 1) deadline_ns = 1;  // zero would disarm
    when.it_value.tv_sec = deadline_ns / 1000000000;
    when.it_value.tv_nsec = deadline_ns % 1000000000;
  }
  timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, nullptr);
}

}  // namespace

void BlockSignals() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
}

int RunLoop(RealOs& os, Program& program) {
  BlockSignals();
  sigset_t all;
  sigfillset(&all);
  int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return Fail(os, "signalfd", errno);
  // The boot clock goes on through a suspend and never jumps with the wall clock.
  int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (timer < 0) return Fail(os, "timerfd", errno);
  if (int error = os.Watch(signals, kSignalToken); error != 0) return Fail(os, "epoll", error);
  if (int error = os.Watch(timer, kTimerToken); error != 0) return Fail(os, "epoll", error);

  if (int error = program.Start(); error != 0) {
    Fail(os, "cannot start noded", error);
    return 127;
  }
  while (!program.done()) {
    Arm(timer, program.NextDeadline());
    struct epoll_event events[32];
    int count = epoll_wait(os.epoll_fd(), events, 32, -1);
    if (count < 0 && errno != EINTR) return Fail(os, "epoll_wait", errno);
    program.ReapAll();
    for (int i = 0; i < count; ++i) {
      if (events[i].data.u64 == kSignalToken) {
        struct signalfd_siginfo info[8];
        ssize_t n = read(signals, info, sizeof info);
        for (ssize_t k = 0; k < n / static_cast<ssize_t>(sizeof info[0]); ++k) {
          program.OnSignal(static_cast<int>(info[k].ssi_signo));
        }
      } else if (events[i].data.u64 == kTimerToken) {
        uint64_t fired;
        (void)!read(timer, &fired, sizeof fired);  // what is due is decided by the clock
      } else {
        program.OnReadable(events[i].data.u64);
      }
    }
    // A signal may have been SIGCHLD, read just now for a child that ended after the first look.
    program.ReapAll();
    program.OnTime();
  }
  return program.exit_code();
}

}  // namespace basalt::init
