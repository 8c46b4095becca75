#include "tests/support/process/await.h"

#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "absl/time/clock.h"

namespace basalt::testing {
namespace {

constexpr int kLookAgainMs = 100;

int Left(absl::Time deadline) {
  return static_cast<int>(std::max<int64_t>(0, absl::ToInt64Milliseconds(deadline - absl::Now())));
}

}  // namespace

bool AwaitChange(const std::string& dir, const std::function<bool()>& holds,
                 absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  host::UniqueFd notify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  bool watched = false;
  while (true) {
    // Watch first, look then: a change in between is not missed.
    if (!watched) {
      watched = inotify_add_watch(notify.get(), dir.c_str(),
                                  IN_MOVED_TO | IN_CLOSE_WRITE | IN_CREATE | IN_MODIFY) >= 0;
    }
    if (holds()) return true;
    int left = Left(deadline);
    if (left == 0) return false;
    pollfd poller = {.fd = notify.get(), .events = POLLIN, .revents = 0};
    if (poll(&poller, 1, std::min(left, kLookAgainMs)) > 0) {
      char events[4096];
      while (read(notify.get(), events, sizeof events) > 0) {
      }
    }
  }
}

std::string AwaitFile(const std::string& path, const std::function<bool(const std::string&)>& good,
                      absl::Duration patience) {
  std::string text;
  bool found = AwaitChange(
      path.substr(0, path.rfind('/')),
      [&] {
        text = ReadAll(path);
        while (!text.empty() && text.back() == '\n') text.pop_back();
        return !text.empty() && (!good || good(text));
      },
      patience);
  return found ? text : "";
}

host::UniqueFd PidFd(pid_t pid) {
  return host::UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

bool AwaitEnd(const host::UniqueFd& pidfd, absl::Duration patience) {
  if (!pidfd.valid()) return true;
  pollfd poller = {.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  return poll(&poller, 1, static_cast<int>(absl::ToInt64Milliseconds(patience))) == 1;
}

void Signal(const host::UniqueFd& pidfd, int signal) {
  if (pidfd.valid()) syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void WriteAll(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace basalt::testing
