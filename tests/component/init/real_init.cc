#include "tests/component/init/real_init.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace basalt::testing {

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

RealInit::RealInit(const std::vector<std::string>& options) {
  char pattern[] = "/tmp/basalt-init-XXXXXX";
  directory_ = mkdtemp(pattern);
  std::string path = directory_ + "/noded";
  listener_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(listener_.get(), 16), 0);

  std::vector<std::string> words = {NODED_INIT};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--", RELAY_NODED, path});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  EXPECT_EQ(posix_spawn(&pid_, NODED_INIT, nullptr, nullptr, argv.data(), environ), 0);
}

RealInit::~RealInit() {
  if (pid_ > 0) {
    // Twice: what is left is killed, and noded-init reaps it, so no test leaves a process behind.
    remotes_.clear();
    kill(pid_, SIGTERM);
    kill(pid_, SIGINT);
    waitpid(pid_, nullptr, 0);
  }
  unlink((directory_ + "/noded").c_str());
  rmdir(directory_.c_str());
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
  noded.pid = pid;
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
