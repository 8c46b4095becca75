#include "server/init/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace basalt::init {
namespace {

constexpr int kOutOfTheWay = 64;  // above every number that is handed to a child

void Tell(int report_fd, SpawnReport::Stage stage, int error) {
  SpawnReport report = {stage, error};
  // Ignoring a failure: the parent then learns of it by the exit code.
  (void)!write(report_fd, &report, sizeof report);
}

void DefaultSignals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int i = 1; i < NSIG; ++i) sigaction(i, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Everything from `first` on closes itself on exec.
void CloseFrom(int first) {
  if (syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC) == 0) return;
  struct rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  for (rlim_t fd = static_cast<rlim_t>(first); fd < limit.rlim_cur && fd < 65536; ++fd) {
    int flags = fcntl(static_cast<int>(fd), F_GETFD);
    if (flags >= 0) fcntl(static_cast<int>(fd), F_SETFD, flags | FD_CLOEXEC);
  }
}

int Away(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, kOutOfTheWay); }

// Makes each directory below the base, then joins: written by the child itself, so that it never
// runs a single instruction of its program outside.
int JoinCgroup(const char* base, const char* path) {
  if (*base == 0) return ENOENT;
  char file[PATH_MAX];
  int length = snprintf(file, sizeof file, "%s/%s", base, path);
  if (length < 0 || static_cast<size_t>(length) + sizeof "/cgroup.procs" > sizeof file) {
    return ENAMETOOLONG;
  }
  for (char* c = file + strlen(base) + 1; *c != 0; ++c) {
    if (*c != '/') continue;
    *c = 0;
    mkdir(file, 0755);
    *c = '/';
  }
  mkdir(file, 0755);
  strcat(file, "/cgroup.procs");
  int fd = open(file, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  ssize_t n = write(fd, "0", 1);
  int error = n == 1 ? 0 : errno;
  close(fd);
  return error;
}

// A mount namespace without STATE and ESP. The root is a slave there, so that what goes from it
// stays with noded, while volumes that noded mounts later come; and shared anew, for pods that want
// that. All the rest (/run, /var, /data) stays shared with everybody: what K3s mounts there is
// found by the next K3s, which has another namespace.
int LeaveVolumes() {
  if (unshare(CLONE_NEWNS) != 0) return errno;
  if (mount(nullptr, "/", nullptr, MS_SLAVE, nullptr) != 0) return errno;
  if (mount(nullptr, "/", nullptr, MS_SHARED, nullptr) != 0) return errno;
  // EINVAL: it is no mount here.
  if (umount2("/state", MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL) return errno;
  // The ESP is mounted for moments only; then below this.
  if (mount("none", "/esp", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
            "mode=0,size=4k") != 0) {
    return errno;
  }
  return 0;
}

void LimitFiles(uint64_t wanted) {
  struct rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = wanted < limit.rlim_max ? static_cast<rlim_t>(wanted) : limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

void BecomeService(const SpawnRequest& request, const char* cgroup_base, int report_fd) {
  setsid();
  umask(022);
  int report = Away(report_fd);
  int program = Away(request.exec_fd);
  int output = Away(request.output_fd);
  int fds[kMaxExtraFds] = {-1, -1, -1, -1};
  bool moved = report >= 0 && program >= 0 && output >= 0 && chdir("/") == 0;
  for (int i = 0; i < request.fd_count; ++i) {
    fds[i] = Away(request.fds[i]);
    moved = moved && fds[i] >= 0;
  }
  if (*request.cgroup != 0) {
    int error = JoinCgroup(cgroup_base, request.cgroup);
    if (error != 0) Tell(report, SpawnReport::kCgroup, error);
  }
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) {
    dup2(null, 0);
  } else {
    close(0);  // no /dev yet: reading fails, as it should
  }
  moved = moved && dup2(output, 1) == 1 && dup2(output, 2) == 2;
  for (int i = 0; i < request.fd_count; ++i) moved = moved && dup2(fds[i], 3 + i) == 3 + i;
  if (moved) {
    CloseFrom(3 + request.fd_count);
    LimitFiles(request.nofile);
    DefaultSignals();
    if (int error = request.apart ? LeaveVolumes() : 0; error != 0) {
      Tell(report, SpawnReport::kExec, error);
      _exit(127);
    }
    // The bytes that were verified, not whatever lies at a path by now.
    syscall(SYS_execveat, program, "", request.argv, request.envp, AT_EMPTY_PATH);
  }
  Tell(report, SpawnReport::kExec, errno);
  _exit(127);
}

void BecomeNoded(char* const* argv, int channel_fd, int init_pid, const char* cgroup_base,
                 int report_fd) {
  // Its own session: Ctrl-C reaches noded-init alone, which then stops everything in order.
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  int report = Away(report_fd);
  int channel = Away(channel_fd);
  if (init_pid == 1) {
    // Ignoring failures of both: in a container they are the runtime's to give.
    JoinCgroup(cgroup_base, "noded");
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) (void)!write(score, "-900", 4);
  }
  if (report >= 0 && channel >= 0 && getppid() == init_pid && dup2(channel, kNodedFd) == kNodedFd) {
    CloseFrom(kNodedFd + 1);
    DefaultSignals();
    execvp(argv[0], argv);
  }
  Tell(report, SpawnReport::kExec, errno);
  _exit(127);
}

int ReadReports(int report_fd, int* cgroup_error) {
  *cgroup_error = 0;
  struct timespec start;
  clock_gettime(CLOCK_BOOTTIME, &start);
  for (;;) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    int64_t left =
        1000 - ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000);
    struct pollfd poller = {.fd = report_fd, .events = POLLIN, .revents = 0};
    if (left <= 0) return 0;
    int ready = poll(&poller, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return 0;
    SpawnReport report;
    ssize_t n = read(report_fd, &report, sizeof report);
    if (n < 0 && errno == EINTR) continue;
    if (n != sizeof report) return 0;
    if (report.stage == SpawnReport::kExec) return report.error != 0 ? report.error : EIO;
    *cgroup_error = report.error;
  }
}

}  // namespace basalt::init
