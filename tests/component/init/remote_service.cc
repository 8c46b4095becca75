// A service that does what the test says. Commands come as datagrams on descriptor 3, each answered
// on it: "say TEXT", "flood BYTES", "ready", "ready-from-child", "exit N", "signal N",
// "signal-init N", "ignore-term", "orphans N", "about". Ends when the test closes its end.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

void WriteAll(int fd, std::string text) {
  while (!text.empty()) {
    ssize_t n = write(fd, text.data(), text.size());
    if (n <= 0) return;
    text.erase(0, static_cast<size_t>(n));
  }
}

std::string Notify() {
  const char* path = getenv("NOTIFY_SOCKET");
  if (path == nullptr) return "no socket";
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  size_t length = strlen(path);
  memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = 0;
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  ssize_t n = sendto(fd, "READY=1\n", 8, 0, reinterpret_cast<sockaddr*>(&address),
                     static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
  close(fd);
  return n == 8 ? "sent" : strerror(errno);
}

// What the kernel says of this process, for the test to compare.
std::string About(char** argv) {
  std::string out;
  for (char** a = argv; *a != nullptr; ++a) out += std::string("arg ") + *a + "\n";
  for (char** e = environ; *e != nullptr; ++e) out += std::string("env ") + *e + "\n";
  char cwd[4096];
  out += std::string("cwd ") + (getcwd(cwd, sizeof cwd) != nullptr ? cwd : "?") + "\n";
  mode_t mask = umask(0);
  out += "umask " + std::to_string(mask) + "\n";
  umask(mask);
  out += "leader " + std::to_string(getsid(0) == getpid()) + "\n";
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  out += "nofile " + std::to_string(limit.rlim_cur) + "\n";
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, nullptr, &blocked);
  int odd = 0;
  for (int i = 1; i < NSIG; ++i) {
    struct sigaction action = {};
    odd += sigismember(&blocked, i) == 1;
    if (sigaction(i, nullptr, &action) == 0) odd += action.sa_handler != SIG_DFL;
  }
  out += "odd-signals " + std::to_string(odd) + "\nfds";
  for (int fd = 0; fd < 1024; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) out += " " + std::to_string(fd);
  }
  return out + "\n";
}

std::string Orphans(int count) {
  for (int i = 0; i < count; ++i) {
    pid_t child = fork();
    if (child == 0) {
      if (fork() == 0) {
        char c;
        (void)!read(4, &c, 1);  // all of them end together, when the test lets them
      }
      _exit(0);
    }
    waitpid(child, nullptr, 0);
  }
  return "done";
}

}  // namespace

int main(int, char** argv) {
  char buffer[512];
  for (;;) {
    ssize_t n = recv(3, buffer, sizeof buffer - 1, 0);
    if (n <= 0) return 0;
    buffer[n] = 0;
    std::string text = buffer;
    std::string verb = text.substr(0, text.find(' '));
    std::string rest = text.size() > verb.size() ? text.substr(verb.size() + 1) : "";
    std::string answer = "ok";
    if (verb == "say") {
      WriteAll(1, rest);
    } else if (verb == "flood") {
      std::string line(64 << 10, 'x');
      for (long left = atol(rest.c_str()); left > 0; left -= static_cast<long>(line.size())) {
        WriteAll(2, line);
      }
    } else if (verb == "ready") {
      answer = Notify();
    } else if (verb == "ready-from-child") {
      pid_t child = fork();
      if (child == 0) {
        Notify();
        _exit(0);
      }
      waitpid(child, nullptr, 0);
    } else if (verb == "ignore-term") {
      signal(SIGTERM, SIG_IGN);
    } else if (verb == "orphans") {
      answer = Orphans(atoi(rest.c_str()));
    } else if (verb == "signal-init") {
      answer = kill(1, atoi(rest.c_str())) == 0 ? "sent" : strerror(errno);
    } else if (verb == "about") {
      answer = About(argv);
    } else if (verb == "exit") {
      _exit(atoi(rest.c_str()));
    } else if (verb == "signal") {
      int number = atoi(rest.c_str());
      signal(number, SIG_DFL);
      raise(number);
    }
    send(3, answer.data(), answer.size(), 0);
  }
}
