#include "tests/component/init/real_init.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

namespace basalt::testing {
namespace {

constexpr int kNotPermitted = 125;
constexpr int kNotExecutable = 126;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return argv;
}

}  // namespace

bool AwaitReadable(int fd) {
  pollfd poller = {.fd = fd, .events = POLLIN, .revents = 0};
  int ready = poll(&poller, 1, 30000);
  EXPECT_EQ(ready, 1) << "nothing came within 30 s";
  return ready == 1;
}

host::ServiceEvent AwaitEvent(host::Supervisor& supervisor, uint64_t* seq,
                              host::ServiceEvent::Kind kind, const std::string& name) {
  for (;;) {
    auto events = supervisor.Events(*seq);
    EXPECT_TRUE(events.ok()) << events.status().ToString();
    if (!events.ok()) return {};
    for (const host::ServiceEvent& event : *events) {
      *seq = event.seq;
      if (event.kind == kind && event.name == name) return event;
    }
    // A fake acts at once: what it has not told by now it never will.
    EXPECT_GE(supervisor.event_fd(), 0) << "no such event of " << name;
    if (supervisor.event_fd() < 0 || !AwaitReadable(supervisor.event_fd())) return {};
    supervisor.DrainWakeups();
  }
}

RealInit::RealInit(const std::vector<std::string>& options, As as) {
  char pattern[] = "/tmp/basalt-init-XXXXXX";
  directory_ = mkdtemp(pattern);
  listener_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, (directory_ + "/relay").c_str(), sizeof address.sun_path - 1);
  EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(listener_.get(), 16), 0);
  as == As::kPid1 ? StartPid1(options) : StartSubreaper(options);
}

void RealInit::StartSubreaper(const std::vector<std::string>& options) {
  std::vector<std::string> words = {NODED_INIT};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--", RELAY_NODED, directory_ + "/relay"});
  std::vector<char*> argv = Pointers(words);
  EXPECT_EQ(posix_spawn(&pid_, NODED_INIT, nullptr, nullptr, argv.data(), environ), 0);
}

void RealInit::StartPid1(const std::vector<std::string>& options) {
  for (const char* place : {"proc", "sys", "dev", "run", "tmp", "state", "data", "esp",
                            "etc/rancher", "var/lib", "usr/bin", "old"}) {
    std::filesystem::create_directories(directory_ + "/" + place);
  }
  std::filesystem::copy_file(NODED_INIT, directory_ + "/usr/bin/noded-init");
  std::filesystem::copy_file(RELAY_NODED, directory_ + "/usr/bin/noded");
  std::vector<std::string> words = {"/usr/bin/noded-init", "--pid1"};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--", "/usr/bin/noded", "/relay"});
  std::vector<char*> argv = Pointers(words);
  long pid = syscall(
      SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | SIGCHLD,
      nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) {
    // Private before anything is mounted: nothing of this reaches the machine.
    std::string dev = directory_ + "/dev";
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount(directory_.c_str(), directory_.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
        mount("dev", dev.c_str(), "tmpfs", MS_NOSUID, "mode=0755") != 0 ||
        mknod((dev + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0 ||
        chdir(directory_.c_str()) != 0 || syscall(SYS_pivot_root, ".", "old") != 0 ||
        umount2("/old", MNT_DETACH) != 0) {
      _exit(kNotPermitted);
    }
    execv(argv[0], argv.data());
    _exit(kNotExecutable);
  }
  if (pid < 0) {
    why_ = std::string("no namespaces for this user: ") + strerror(errno);
    return;
  }
  pid_ = static_cast<pid_t>(pid);
  // Its noded connects, or it ended: it was not permitted to mount, say.
  host::UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  pollfd either[] = {{.fd = listener_.get(), .events = POLLIN, .revents = 0},
                     {.fd = process.get(), .events = POLLIN, .revents = 0}};
  EXPECT_GT(poll(either, 2, 30000), 0) << "neither came within 30 s";
  if (either[0].revents != 0 || either[1].revents == 0) return;
  int status = 0;
  waitpid(std::exchange(pid_, 0), &status, 0);
  if (kSanitized && status == kNotExecutable << 8) {
    why_ = "a sanitizer's noded-init wants libraries, and its root has none";
    return;
  }
  why_ = "PID 1 ended with wait status " + std::to_string(status) + " before it could be set up";
  EXPECT_EQ(status, kNotPermitted << 8) << why_;
}

RealInit::~RealInit() {
  if (pid_ > 0) {
    // Twice: what is left is killed, and noded-init reaps it, so no test leaves a process behind.
    remotes_.clear();
    kill(pid_, SIGTERM);
    kill(pid_, SIGINT);
    waitpid(pid_, nullptr, 0);
  }
  std::filesystem::remove_all(directory_);
}

RelayedNoded RealInit::AwaitNoded() {
  RelayedNoded noded;
  if (!AwaitReadable(listener_.get())) return noded;
  noded.connection.reset(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!AwaitReadable(noded.connection.get())) return noded;
  int pid = 0;
  iovec part = {&pid, sizeof pid};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  EXPECT_EQ(recvmsg(noded.connection.get(), &message, MSG_CMSG_CLOEXEC),
            static_cast<ssize_t>(sizeof pid));
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  if (c == nullptr) {
    ADD_FAILURE() << "noded passed no channel";
    return noded;
  }
  int fd;
  memcpy(&fd, CMSG_DATA(c), sizeof fd);
  noded.channel.reset(fd);
  // Its number where the test is, which is not what it is in its own namespace.
  ucred peer = {};
  socklen_t peer_size = sizeof peer;
  EXPECT_EQ(getsockopt(noded.connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &peer_size), 0);
  noded.pid = peer.pid;
  return noded;
}

void RealInit::Signal(int signal) { EXPECT_EQ(kill(pid_, signal), 0); }

int RealInit::AwaitExit() {
  int status = 0;
  EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
  pid_ = 0;
  return status;
}

host::ServiceSpec RealInit::Remote(const std::string& name) {
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  remotes_[name].reset(ends[0]);
  host::ServiceSpec spec;
  spec.name = name;
  spec.tag = "tag-" + name;
  spec.argv = {"remote", name};
  spec.env = {"HOME=/"};
  spec.exec_fd.reset(open(REMOTE_SERVICE, O_RDONLY | O_CLOEXEC));
  spec.fds.emplace_back(ends[1]);
  spec.restart.delay = absl::Milliseconds(10);
  spec.restart.max_delay = absl::Milliseconds(20);
  spec.stop_grace = absl::Seconds(60);
  return spec;
}

std::string RealInit::Say(const std::string& name, const std::string& command, bool answers) {
  int fd = remotes_[name].get();
  EXPECT_EQ(send(fd, command.data(), command.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(command.size()));
  if (!answers || !AwaitReadable(fd)) return "";
  char answer[16384];
  ssize_t n = recv(fd, answer, sizeof answer, 0);
  EXPECT_GT(n, 0) << command;
  return n > 0 ? std::string(answer, static_cast<size_t>(n)) : "";
}

}  // namespace basalt::testing
