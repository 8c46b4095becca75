#include "client/commands/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "client/context/files.h"

extern char** environ;

namespace basalt::client {
namespace {

constexpr size_t kMaxErrorText = 4096;

absl::Status Failed(const std::string& program, absl::string_view what) {
  return api::Coded(absl::StatusCode::kUnavailable, "child-failed",
                    absl::StrCat(program, ": ", what));
}

// Reads both pipes to their end or until `until`. False when time ran out or there was too much.
bool Collect(int out, int err, absl::Time until, size_t max, std::string& out_text,
             std::string& err_text) {
  pollfd fds[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  std::string* texts[2] = {&out_text, &err_text};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    int64_t left = absl::ToInt64Milliseconds(until - absl::Now());
    if (left <= 0) return false;
    int ready = poll(fds, 2, static_cast<int>(std::min<int64_t>(left, 60000)));
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) continue;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char buffer[8192];
      ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        fds[i].fd = -1;
        continue;
      }
      if (i == 0 && texts[0]->size() + static_cast<size_t>(n) > max) return false;
      if (i == 0 || texts[1]->size() < kMaxErrorText)
        texts[i]->append(buffer, static_cast<size_t>(n));
    }
  }
  return true;
}

struct Descriptors {
  int input = -1;   // its standard input; -1: nothing to read
  int target = -1;  // its descriptor 3
  bool own_stderr = false;
};

absl::StatusOr<std::string> Run(const std::vector<std::string>& argv, const std::string& called,
                                const Descriptors& given, absl::Duration timeout,
                                size_t max_output) {
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0) return Failed(called, strerror(errno));
  auto close_out = absl::MakeCleanup([&] { close(out[0]); });
  if (pipe2(err, O_CLOEXEC) != 0) {
    close(out[1]);
    return Failed(called, strerror(errno));
  }
  auto close_err = absl::MakeCleanup([&] { close(err[0]); });

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (given.input >= 0) {
    posix_spawn_file_actions_adddup2(&actions, given.input, 0);
  } else {
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  }
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  if (!given.own_stderr) posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  // Also right when it is 3 already: posix_spawn clears close-on-exec then.
  if (given.target >= 0) posix_spawn_file_actions_adddup2(&actions, given.target, 3);
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t pid = 0;
  int error = posix_spawn(&pid, argv[0].c_str(), &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  close(err[1]);
  if (error != 0) return Failed(called, strerror(error));

  std::string text, complaint;
  bool whole = Collect(out[0], err[0], absl::Now() + timeout, max_output, text, complaint);
  if (!whole) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!whole) {
    return api::Coded(absl::StatusCode::kDeadlineExceeded, "child-timeout",
                      absl::StrCat(called, " took longer than ", absl::FormatDuration(timeout),
                                   " or wrote more than ", max_output, " bytes"));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    while (!complaint.empty() && complaint.back() == '\n') complaint.pop_back();
    return Failed(called, complaint.empty() ? "failed" : complaint);
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> RunChild(const std::vector<std::string>& argv, absl::Duration timeout,
                                     size_t max_output, int target) {
  return Run(argv, argv[0], {.target = target}, timeout, max_output);
}

absl::StatusOr<std::string> RunFilter(const std::string& command, absl::string_view input,
                                      absl::Duration timeout, size_t max_output) {
  // A file in memory and not a pipe: a program that does not read it to its end cannot block us.
  int fd = memfd_create("to-be-signed", MFD_CLOEXEC);
  if (fd < 0) return Failed(command, strerror(errno));
  auto close_fd = absl::MakeCleanup([&] { close(fd); });
  for (absl::string_view rest = input; !rest.empty();) {
    ssize_t n = write(fd, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed(command, strerror(errno));
    rest.remove_prefix(static_cast<size_t>(n));
  }
  if (lseek(fd, 0, SEEK_SET) != 0) return Failed(command, strerror(errno));
  return Run({"/bin/sh", "-c", command}, command, {.input = fd, .own_stderr = true}, timeout,
             max_output);
}

absl::StatusOr<std::string> FindSibling(const std::string& name) {
  char self[4096];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  std::vector<std::string> directories;
  if (n > 0) directories.push_back(DirectoryOf(std::string(self, static_cast<size_t>(n))));
  if (const char* path = getenv("PATH"); path != nullptr) {
    for (absl::string_view part : absl::StrSplit(path, ':', absl::SkipEmpty())) {
      directories.emplace_back(part);
    }
  }
  for (const std::string& directory : directories) {
    std::string candidate = JoinPath(directory, name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return api::Coded(absl::StatusCode::kNotFound, "no-such-file",
                    absl::StrCat(name, " is neither beside nodectl nor in PATH"),
                    "it is part of the same release");
}

}  // namespace basalt::client
