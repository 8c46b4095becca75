// RealMachine: processes, clock, watchdog and power.
#include <fcntl.h>
#include <linux/watchdog.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "server/init/boot/real_machine.h"

namespace basalt::init {
namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kSlice = 10 * kSecond;  // of a wait, between two signs to the watchdog

void DefaultSignals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int i = 1; i < NSIG; ++i) sigaction(i, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

int64_t RealMachine::Now() {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * kSecond + now.tv_nsec;
}

void RealMachine::Nap(int64_t ns) {
  struct timespec time = {.tv_sec = ns / kSecond, .tv_nsec = ns % kSecond};
  nanosleep(&time, nullptr);
}

int64_t RealMachine::WallSeconds() { return time(nullptr); }

int RealMachine::SetWallSeconds(int64_t seconds) {
  struct timeval now = {.tv_sec = static_cast<time_t>(seconds), .tv_usec = 0};
  return settimeofday(&now, nullptr) == 0 ? 0 : errno;
}

int RealMachine::Await(int pid, int64_t limit_ns, int* status) {
  int handle = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (handle < 0) return errno;
  int64_t until = Now() + limit_ns;
  bool ended = false;
  for (int64_t left = limit_ns; !ended && left > 0; left = until - Now()) {
    struct pollfd poller = {.fd = handle, .events = POLLIN, .revents = 0};
    int64_t slice = left < kSlice ? left : kSlice;
    ended = poll(&poller, 1, static_cast<int>(slice / 1000000) + 1) == 1;
    PetWatchdog();
  }
  close(handle);
  if (!ended) {
    kill(pid, SIGKILL);
    return ETIMEDOUT;
  }
  while (waitpid(pid, status, 0) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int RealMachine::Run(const char* const* argv, int64_t limit_ns, Exited* exited) {
  if (access(argv[0], X_OK) != 0) return errno;
  pid_t pid = fork();
  if (pid < 0) return errno;
  if (pid == 0) {
    static const char* const kEnvironment[] = {"PATH=/usr/sbin:/usr/bin", "HOME=/", nullptr};
    DefaultSignals();
    execve(argv[0], const_cast<char* const*>(argv), const_cast<char* const*>(kEnvironment));
    _exit(127);
  }
  int status = 0;
  if (int error = Await(pid, limit_ns, &status); error != 0) return error;
  exited->pid = pid;
  exited->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  exited->code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  return 0;
}

int RealMachine::Apart(int (*work)(Machine& machine), int64_t limit_ns) {
  pid_t pid = fork();
  if (pid < 0) return errno;
  if (pid == 0) {
    int result = work(*this);
    _exit(result >= 0 && result < 128 ? result : 127);
  }
  int status = 0;
  if (int error = Await(pid, limit_ns, &status); error != 0) return error;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

int RealMachine::OpenWatchdog(int64_t* timeout_ns) {
  int fd = open("/dev/watchdog", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  watchdog_ = fd;  // never closed: that would stop it
  return SetWatchdog(timeout_ns);
}

int RealMachine::SetWatchdog(int64_t* timeout_ns) {
  if (watchdog_ < 0) return ENODEV;
  // A device that cannot be set goes on with the time that it has.
  int seconds = static_cast<int>(*timeout_ns / kSecond);
  if (ioctl(watchdog_, WDIOC_SETTIMEOUT, &seconds) != 0 &&
      ioctl(watchdog_, WDIOC_GETTIMEOUT, &seconds) != 0) {
    seconds = 10;  // it does not say: often enough for every device
  }
  if (seconds < 4) seconds = 4;
  *timeout_ns = seconds * kSecond;
  return 0;
}

int RealMachine::PetWatchdog() {
  if (watchdog_ < 0) return ENODEV;
  return write(watchdog_, "\n", 1) == 1 ? 0 : errno;  // anything but the letter that disarms it
}

int RealMachine::SignalAll(int signal) { return kill(-1, signal) == 0 ? 0 : errno; }

bool RealMachine::AwaitNoChildren(int64_t limit_ns) {
  int64_t until = Now() + limit_ns;
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  for (;;) {
    pid_t pid = 0;
    do {
      pid = waitpid(-1, nullptr, WNOHANG);
    } while (pid > 0 || (pid < 0 && errno == EINTR));
    if (pid < 0) return true;  // ECHILD
    int64_t left = until - Now();
    if (left <= 0) return false;
    // SIGCHLD is blocked, so none can slip by between the look and the wait.
    struct timespec wait = {.tv_sec = left / kSecond, .tv_nsec = left % kSecond};
    sigtimedwait(&child, nullptr, &wait);
  }
}

void RealMachine::SyncAll() { sync(); }

void RealMachine::Finish(End end) {
  // In a pid namespace this ends the namespace: SIGHUP for a restart, SIGINT for power off.
  reboot(end == End::kReboot ? RB_AUTOBOOT : RB_POWER_OFF);
  reboot(RB_HALT_SYSTEM);  // a machine that cannot switch itself off
}

}  // namespace basalt::init
