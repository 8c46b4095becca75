#include "client/context/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt::client {
namespace {

absl::Status FileError(absl::string_view what, const std::string& path, int error) {
  absl::string_view reason = error == ENOENT   ? "no-such-file"
                             : error == EEXIST ? "file-exists"
                                               : "file-error";
  absl::StatusCode code = error == ENOENT   ? absl::StatusCode::kNotFound
                          : error == EEXIST ? absl::StatusCode::kAlreadyExists
                                            : absl::StatusCode::kFailedPrecondition;
  return api::WithDetail(
      api::Coded(code, reason, absl::StrCat(what, " ", path, ": ", strerror(error))), "file", path);
}

absl::Status WriteAll(int fd, absl::string_view data, const std::string& path, bool durable) {
  while (!data.empty()) {
    ssize_t n = write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("cannot write", path, errno);
    data.remove_prefix(static_cast<size_t>(n));
  }
  if (durable && fsync(fd) != 0) return FileError("cannot make durable", path, errno);
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& directory) {
  int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("cannot open", directory, errno);
  int rc = fsync(fd), error = errno;
  close(fd);
  return rc == 0 ? absl::OkStatus() : FileError("cannot make durable", directory, error);
}

// A new file that nobody else can have open, with `data` in it; removed again on error.
absl::Status CreateWith(const std::string& path, absl::string_view data, mode_t mode,
                        bool durable = true) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return FileError("cannot create", path, errno);
  absl::Status status = absl::OkStatus();
  if (fchmod(fd, mode) != 0) status = FileError("cannot set the mode of", path, errno);
  if (status.ok()) status = WriteAll(fd, data, path, durable);
  if (close(fd) != 0 && status.ok()) status = FileError("cannot close", path, errno);
  if (!status.ok()) unlink(path.c_str());
  return status;
}

// Beside `path`, so that a rename stays on one file system.
std::string TemporaryFor(const std::string& path) {
  static std::atomic<int> counter{0};
  return absl::StrCat(path, ".tmp.", getpid(), ".", counter++);
}

// One sync for each file system of `directories`.
absl::Status SyncFileSystems(const std::set<std::string>& directories) {
  std::set<dev_t> done;
  for (const std::string& directory : directories) {
    int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return FileError("cannot open", directory, errno);
    auto close_fd = absl::MakeCleanup([fd] { close(fd); });
    struct stat st;
    if (fstat(fd, &st) != 0) return FileError("cannot look at", directory, errno);
    if (!done.insert(st.st_dev).second) continue;
    if (syncfs(fd) != 0) return FileError("cannot make durable", directory, errno);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max) {
  int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("cannot read", path, errno);
  auto close_fd = absl::MakeCleanup([fd] {
    if (fd != STDIN_FILENO) close(fd);
  });
  std::string out;
  char buffer[64 << 10];
  while (true) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("cannot read", path, errno);
    if (n == 0) return out;
    if (out.size() + static_cast<size_t>(n) > max) {
      return api::WithDetail(api::Coded(absl::StatusCode::kInvalidArgument, "file-too-large",
                                        absl::StrCat(path, " is larger than ", max, " bytes"),
                                        "is it the right file? A machine config has 1 MiB at most"),
                             "file", path);
    }
    out.append(buffer, static_cast<size_t>(n));
  }
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view data, mode_t mode) {
  const std::string temporary = TemporaryFor(path);
  if (absl::Status s = CreateWith(temporary, data, mode); !s.ok()) {
    // About the file that was asked for: the temporary one is nobody's business.
    return absl::IsNotFound(s) ? FileError("cannot write", path, ENOENT) : s;
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    int error = errno;
    unlink(temporary.c_str());
    return FileError("cannot replace", path, error);
  }
  return SyncDirectory(DirectoryOf(path));
}

absl::Status WriteFilesAtomically(const std::vector<FileToWrite>& files, mode_t mode) {
  // One file is made durable by itself: the rest of its disk is not its business.
  if (files.size() == 1) return WriteFileAtomically(files[0].path, files[0].data, mode);
  std::vector<std::string> temporary;
  std::set<std::string> directories;
  size_t renamed = 0;
  auto remove_rest = absl::MakeCleanup([&] {
    for (size_t i = renamed; i < temporary.size(); ++i) unlink(temporary[i].c_str());
  });
  for (const FileToWrite& file : files) {
    temporary.push_back(TemporaryFor(file.path));
    directories.insert(DirectoryOf(file.path));
    absl::Status s = CreateWith(temporary.back(), file.data, mode, /*durable=*/false);
    if (!s.ok()) return absl::IsNotFound(s) ? FileError("cannot write", file.path, ENOENT) : s;
  }
  // The bytes before the names: a rename that outlives its data would leave an empty file.
  if (absl::Status s = SyncFileSystems(directories); !s.ok()) return s;
  for (; renamed < files.size(); ++renamed) {
    if (rename(temporary[renamed].c_str(), files[renamed].path.c_str()) != 0) {
      return FileError("cannot replace", files[renamed].path, errno);
    }
  }
  return SyncFileSystems(directories);
}

absl::Status EditFileAtomically(const std::string& path, absl::string_view data) {
  char resolved[PATH_MAX];
  struct stat st;
  if (realpath(path.c_str(), resolved) == nullptr || stat(resolved, &st) != 0) {
    return FileError("cannot write", path, errno);
  }
  return WriteFileAtomically(resolved, data, st.st_mode & 0777);
}

absl::Status WriteNewFile(const std::string& path, absl::string_view data, mode_t mode) {
  if (absl::Status s = CreateWith(path, data, mode); !s.ok()) return s;
  return SyncDirectory(DirectoryOf(path));
}

absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  for (size_t i = 1; i <= path.size(); ++i) {
    if (i != path.size() && path[i] != '/') continue;
    const std::string part = path.substr(0, i);
    if (mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      return FileError("cannot make directory", part, errno);
    }
  }
  if (!IsDirectory(path)) return FileError("cannot make directory", path, ENOTDIR);
  return absl::OkStatus();
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return FileError("cannot remove", path, errno);
}

bool Exists(const std::string& path) {
  struct stat st;
  return lstat(path.c_str(), &st) == 0;
}

bool IsDirectory(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

bool IsEmptyDirectory(const std::string& path) {
  DIR* dir = opendir(path.c_str());
  if (dir == nullptr) return errno == ENOENT;
  bool empty = true;
  while (dirent* entry = readdir(dir)) {
    absl::string_view name = entry->d_name;
    if (name != "." && name != "..") empty = false;
  }
  closedir(dir);
  return empty;
}

absl::StatusOr<std::vector<std::string>> ListFiles(const std::string& directory) {
  DIR* dir = opendir(directory.c_str());
  if (dir == nullptr) return FileError("cannot list", directory, errno);
  std::vector<std::string> names;
  while (dirent* entry = readdir(dir)) {
    struct stat st;
    const std::string path = JoinPath(directory, entry->d_name);
    if (stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode)) names.push_back(entry->d_name);
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

std::string JoinPath(absl::string_view directory, absl::string_view relative) {
  if (absl::StartsWith(relative, "/") || directory.empty()) return std::string(relative);
  if (absl::EndsWith(directory, "/")) return absl::StrCat(directory, relative);
  return absl::StrCat(directory, "/", relative);
}

std::string AbsolutePath(const std::string& path) {
  char here[PATH_MAX];
  if (absl::StartsWith(path, "/") || getcwd(here, sizeof here) == nullptr) return path;
  return JoinPath(here, path);
}

std::string DirectoryOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace basalt::client
