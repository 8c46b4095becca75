#include "tests/component/wire/wire_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace basalt::testing {
namespace {

bool Readable(int fd, absl::Time deadline) {
  pollfd one = {.fd = fd, .events = POLLIN, .revents = 0};
  const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
  return left > 0 && poll(&one, 1, static_cast<int>(left)) > 0;
}

}  // namespace

Child::Child(const std::vector<std::string>& argv, const std::vector<int>& fds, int out) {
  std::vector<char*> args;
  for (const std::string& word : argv) args.push_back(const_cast<char*>(word.c_str()));
  args.push_back(nullptr);
  int input[2] = {-1, -1};
  (void)!pipe2(input, O_CLOEXEC);
  host::UniqueFd theirs(input[0]);
  input_ = host::UniqueFd(input[1]);
  pid_ = fork();
  if (pid_ != 0) return;
  dup2(theirs.get(), STDIN_FILENO);
  // Above everything first: one must not overwrite another.
  std::vector<int> high;
  for (int fd : fds) high.push_back(fcntl(fd, F_DUPFD, 100));
  for (size_t i = 0; i < high.size(); ++i) dup2(high[i], static_cast<int>(3 + i));
  if (out >= 0) dup2(out, STDOUT_FILENO);
  syscall(SYS_close_range, 3u + static_cast<unsigned>(fds.size()), ~0u, 0u);
  execvp(args[0], args.data());
  _exit(127);
}

Child::~Child() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

int Child::Wait() {
  host::UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!Readable(pidfd.get(), absl::Now() + kWait)) return -1;
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

host::UniqueFd MemoryWith(const std::string& text) {
  host::UniqueFd fd(memfd_create("test", MFD_CLOEXEC));
  (void)!pwrite(fd.get(), text.data(), text.size(), 0);
  return fd;
}

std::string ReadFd(int fd) {
  std::string text(1 << 20, '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  text.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return text;
}

std::string ReadUntil(int fd, const std::string& text) {
  const absl::Time deadline = absl::Now() + kWait;
  std::string all;
  while (Readable(fd, deadline)) {
    char some[4096];
    const ssize_t n = read(fd, some, sizeof some);
    if (n <= 0) break;
    all.append(some, static_cast<size_t>(n));
    if (absl::StrContains(all, text)) return all;
  }
  return "";
}

host::UniqueFd Listen(int* port, bool datagram) {
  host::UniqueFd fd(socket(AF_INET, (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in at = {.sin_family = AF_INET,
                    .sin_port = htons(static_cast<uint16_t>(*port)),
                    .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof at;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&at), size) != 0) return host::UniqueFd();
  if (!datagram) listen(fd.get(), 8);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size);
  *port = ntohs(at.sin_port);
  return fd;
}

host::UniqueFd Accept(int listener) {
  if (!Readable(listener, absl::Now() + kWait)) return host::UniqueFd();
  return host::UniqueFd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
}

Certificate::Certificate() {
  std::string pattern = (std::filesystem::temp_directory_path() / "wire-cert-XXXXXX").string();
  directory = mkdtemp(pattern.data());
  cert_file = directory + "/cert.pem";
  key_file = directory + "/key.pem";
  Child made({"openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "30", "-subj",
              "/CN=logs.example.org", "-addext", "subjectAltName=DNS:logs.example.org,IP:127.0.0.1",
              "-keyout", key_file, "-out", cert_file},
             {});
  made.Wait();
  std::ostringstream text;
  text << std::ifstream(cert_file).rdbuf();
  pem = text.str();
}

Certificate::~Certificate() { std::filesystem::remove_all(directory); }

}  // namespace basalt::testing
