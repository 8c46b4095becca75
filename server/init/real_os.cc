#include "server/init/real_os.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "server/init/spawn.h"

namespace basalt::init {
namespace {

// Forks and lets `child(report_fd)` become a program. The pid, or -errno of fork or exec.
template <typename Child>
int Fork(Child child, int* cgroup_error) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return -errno;
  pid_t pid = fork();
  if (pid == 0) child(report[1]);
  int error = pid < 0 ? errno : 0;
  close(report[1]);
  if (pid > 0) error = ReadReports(report[0], cgroup_error);
  close(report[0]);
  if (pid > 0 && error != 0) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  return error != 0 ? -error : pid;
}

}  // namespace

int RealOs::Open() {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  return epoll_fd_ < 0 ? errno : 0;
}

int64_t RealOs::Now() {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

int RealOs::Spawn(const SpawnRequest& request, bool* cgroup_missing) {
  int cgroup_error = 0;
  int pid = Fork([&](int report) { BecomeService(request, cgroup_base_, report); }, &cgroup_error);
  *cgroup_missing = cgroup_error != 0;
  return pid;
}

int RealOs::SpawnNoded(int* channel) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -errno;
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  pid_t self = getpid();
  int unused = 0;
  int pid =
      Fork([&](int report) { BecomeNoded(noded_, ends[1], self, cgroup_base_, report); }, &unused);
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
  } else {
    *channel = ends[0];
  }
  return pid;
}

int RealOs::Kill(int pid, int signal) { return kill(pid, signal) == 0 ? 0 : errno; }

bool RealOs::Reap(Exited* exited) {
  int status = 0;
  pid_t pid = waitpid(-1, &status, WNOHANG);
  if (pid <= 0) return false;
  exited->pid = pid;
  exited->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  exited->code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  return true;
}

int RealOs::OpenIo(ServiceIo* io) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  io->out_read = ends[0];
  io->out_write = ends[1];
  fcntl(io->out_read, F_SETFL, O_NONBLOCK);  // the other end stays blocking for the service
  io->ring = memfd_create("output", MFD_CLOEXEC);
  if (io->ring < 0 || ftruncate(io->ring, kRingSize) != 0) return errno;
  // A second open file: read-only for whoever gets it.
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", io->ring);
  io->ring_reader = open(path, O_RDONLY | O_CLOEXEC);
  return io->ring_reader < 0 ? errno : 0;
}

int RealOs::OpenNotify(ServiceIo* io) {
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  int on = 1;
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  // Bound to nothing, the kernel picks a free abstract name: no file to clean up or to clash.
  socklen_t size = sizeof address;
  if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      bind(fd, reinterpret_cast<struct sockaddr*>(&address), sizeof(sa_family_t)) != 0 ||
      getsockname(fd, reinterpret_cast<struct sockaddr*>(&address), &size) != 0) {
    int error = errno;
    close(fd);
    return error;
  }
  size_t length = size - offsetof(struct sockaddr_un, sun_path);
  if (length < 2 || length >= sizeof io->notify_name) {
    close(fd);
    return ENAMETOOLONG;
  }
  memcpy(io->notify_name, address.sun_path, length);
  io->notify_name[0] = '@';
  io->notify_name[length] = 0;
  io->notify = fd;
  return 0;
}

long RealOs::Read(int fd, void* data, size_t size) {
  ssize_t n = read(fd, data, size);
  return n < 0 ? -errno : n;
}

long RealOs::WriteAt(int fd, const void* data, size_t size, uint64_t offset) {
  ssize_t n = pwrite(fd, data, size, static_cast<off_t>(offset));
  return n < 0 ? -errno : n;
}

long RealOs::ReceiveNotify(int fd, char* data, size_t size, int* pid) {
  struct iovec part = {data, size};
  alignas(struct cmsghdr) char control[256];
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return -errno;
  *pid = 0;
  for (auto* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET) continue;
    if (c->cmsg_type == SCM_CREDENTIALS) {
      struct ucred sender;
      memcpy(&sender, CMSG_DATA(c), sizeof sender);
      *pid = sender.pid;
    } else if (c->cmsg_type == SCM_RIGHTS) {
      // Anybody may attach descriptors; keeping them would fill our table.
      size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int extra;
        memcpy(&extra, CMSG_DATA(c) + i * sizeof extra, sizeof extra);
        close(extra);
      }
    }
  }
  return n;
}

long RealOs::Receive(int channel, Packet* packet) {
  struct iovec part = {packet->data, sizeof packet->data};
  alignas(struct cmsghdr) char control[CMSG_SPACE(kMaxPassedFds * sizeof(int))];
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  packet->fd_count = 0;
  ssize_t n = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return -errno;
  packet->size = static_cast<size_t>(n);
  packet->truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  for (auto* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      if (packet->fd_count < kMaxPassedFds) {
        packet->fds[packet->fd_count++] = fd;
      } else {
        close(fd);
      }
    }
  }
  return n;
}

int RealOs::Send(int channel, const void* data, size_t size, int fd) {
  struct iovec part = {const_cast<void*>(data), size};
  alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
  }
  return sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

int RealOs::Watch(int fd, uint64_t token) {
  struct epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = token;
  return epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

void RealOs::Close(int fd) {
  if (fd < 0) return;
  // By name: a forked child that has not yet executed keeps the open file, and epoll with it.
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  close(fd);
}

void RealOs::Say(const char* text) {
  if (say_ != nullptr) return say_(text);
  char line[256];
  int length = snprintf(line, sizeof line, "noded-init: %s\n", text);
  if (length <= 0) return;
  size_t size =
      static_cast<size_t>(length) < sizeof line ? static_cast<size_t>(length) : sizeof line - 1;
  // A log that nobody reads must not stop PID 1; a pipe that is ready takes this much at once.
  struct pollfd poller = {.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&poller, 1, 0) != 1 || (poller.revents & POLLOUT) == 0) return;
  (void)!write(STDERR_FILENO, line, size);
}

}  // namespace basalt::init
