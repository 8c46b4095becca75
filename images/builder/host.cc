#include "images/builder/host.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace basalt::image {
namespace {

absl::Status Failed(absl::string_view what, const std::string& path, int error = errno) {
  return absl::InternalError(
      absl::StrCat("io-failed: cannot ", what, " ", path, ": ", strerror(error)));
}

// Until both ends are closed.
void Drain(int out, int err, std::string& output, std::string& said) {
  pollfd fds[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  char buffer[65536];
  for (int open = 2; open > 0;) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
    for (pollfd& p : fds) {
      if (p.fd < 0 || p.revents == 0) continue;
      ssize_t got = read(p.fd, buffer, sizeof buffer);
      if (got > 0) {
        (p.fd == out ? output : said).append(buffer, static_cast<size_t>(got));
      } else if (got == 0 || errno != EINTR) {
        p.fd = -1;
        --open;
      }
    }
  }
}

}  // namespace

absl::StatusOr<std::string> Tools::Run(const std::vector<std::string>& argv,
                                       const std::string& directory) const {
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0) return Failed("make", "a pipe");
  if (pipe2(err, O_CLOEXEC) != 0) return Failed("make", "a pipe");
  std::vector<char*> args;
  for (const std::string& a : argv) args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);
  std::vector<std::string> texts = {// Debian keeps mkfs and its like where plain users do not look.
                                    "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                                    "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/nonexistent",
                                    absl::StrCat("SOURCE_DATE_EPOCH=", absl::ToUnixSeconds(time_))};
  for (const char* name : {"http_proxy", "https_proxy", "no_proxy", "TMPDIR"}) {
    if (const char* value = getenv(name)) texts.push_back(absl::StrCat(name, "=", value));
  }
  std::vector<char*> environment;
  for (std::string& t : texts) environment.push_back(t.data());
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  absl::Cleanup destroy = [&] { posix_spawn_file_actions_destroy(&actions); };
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  if (!directory.empty()) posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  mode_t old_mask = umask(022);
  pid_t pid = 0;
  int error = posix_spawnp(&pid, args[0], &actions, nullptr, args.data(), environment.data());
  umask(old_mask);
  close(out[1]);
  close(err[1]);
  std::string output, said;
  if (error == 0) Drain(out[0], err[0], output, said);
  close(out[0]);
  close(err[0]);
  if (error != 0) {
    return absl::NotFoundError(absl::StrCat("tool-missing: ", argv[0], ": ", strerror(error),
                                            "; `./dev image` installs what is needed"));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    constexpr size_t kEnd = 2000;
    if (said.empty()) said = output;
    return absl::InternalError(
        absl::StrCat("tool-failed: ", absl::StrJoin(argv, " ").substr(0, 300), ": ",
                     said.substr(said.size() - std::min(said.size(), kEnd))));
  }
  return output;
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Failed("read", path);
  absl::Cleanup close_it = [fd] { close(fd); };
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return Failed("read", path, EINVAL);
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t length = 0;
  while (length < bytes.size()) {
    ssize_t got = read(fd, bytes.data() + length, bytes.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Failed("read", path, got < 0 ? errno : EIO);
    length += static_cast<size_t>(got);
  }
  return bytes;
}

absl::Status WriteWhole(const std::string& path, absl::string_view bytes, unsigned mode) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return Failed("write", path);
  close(fd);
  if (chmod(path.c_str(), mode) != 0) return Failed("change", path);  // whatever the umask is
  return WriteAt(path, 0, bytes);
}

absl::Status MakeDirectories(const std::string& path) {
  std::filesystem::path sum;
  for (const auto& part : std::filesystem::path(path)) {
    sum /= part;
    if (mkdir(sum.c_str(), 0755) == 0) {
      if (chmod(sum.c_str(), 0755) != 0) return Failed("change", sum);
    } else if (errno != EEXIST) {
      return Failed("make", sum);
    }
  }
  return absl::OkStatus();
}

absl::Status MakeSymlink(const std::string& target, const std::string& path) {
  return symlink(target.c_str(), path.c_str()) == 0 ? absl::OkStatus() : Failed("make", path);
}

absl::Status RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return error ? Failed("remove", path, error.value()) : absl::OkStatus();
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

absl::Status WriteAt(const std::string& path, uint64_t offset, absl::string_view bytes) {
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return Failed("write", path);
  absl::Cleanup close_it = [fd] { close(fd); };
  while (!bytes.empty()) {
    ssize_t put = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return Failed("write", path);
    bytes.remove_prefix(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
  return absl::OkStatus();
}

absl::Status MakeSparse(const std::string& path, uint64_t size) {
  if (absl::Status s = WriteWhole(path, ""); !s.ok()) return s;
  return truncate(path.c_str(), static_cast<off_t>(size)) == 0 ? absl::OkStatus()
                                                               : Failed("grow", path);
}

absl::Status CopySparse(const std::string& from, const std::string& to, uint64_t offset) {
  int in = open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (in < 0) return Failed("read", from);
  absl::Cleanup close_in = [in] { close(in); };
  int out = open(to.c_str(), O_WRONLY | O_CLOEXEC);
  if (out < 0) return Failed("write", to);
  absl::Cleanup close_out = [out] { close(out); };
  std::string buffer(64 << 10, '\0');
  for (off_t at = lseek(in, 0, SEEK_DATA); at >= 0;) {
    ssize_t got = pread(in, buffer.data(), buffer.size(), at);
    if (got < 0) return Failed("read", from);
    if (got == 0) break;
    bool zeros = std::all_of(buffer.begin(), buffer.begin() + got, [](char c) { return c == 0; });
    if (!zeros && pwrite(out, buffer.data(), static_cast<size_t>(got),
                         static_cast<off_t>(offset) + at) != got) {
      return Failed("write", to);
    }
    at = lseek(in, at + got, SEEK_DATA);  // past the last data: ENXIO
  }
  return absl::OkStatus();
}

}  // namespace basalt::image
