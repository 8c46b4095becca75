#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/host/fd.h"
#include "server/host/vfs_disk.h"

namespace basalt::host {
namespace {

absl::Status FromErrno(int error, absl::string_view what, const std::string& path) {
  std::string text = absl::StrCat(what, " ", path.empty() ? "." : path, ": ", strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(text);
    case EEXIST:
      return absl::AlreadyExistsError(text);
    case ENOSPC:
    case EDQUOT:
      return api::Coded(absl::StatusCode::kResourceExhausted, "disk-full", text,
                        "free space on the node's state file system");
    case EROFS:
      return api::Coded(absl::StatusCode::kFailedPrecondition, "state-read-only", text,
                        "the file system was remounted read-only: check the disk");
    case EXDEV:
    case ELOOP:
      return api::Coded(absl::StatusCode::kInvalidArgument, "bad-path",
                        absl::StrCat(text, " (it leads out of the node's directory)"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(text);
    default:
      return absl::InternalError(text);
  }
}

// A failed fsync says that dirty pages may be gone and marks them clean: a second try would lie.
absl::Status SyncError(int error, const std::string& what) {
  if (error == ENOSPC || error == EDQUOT || error == EROFS) return FromErrno(error, "fsync", what);
  return api::Coded(absl::StatusCode::kDataLoss, "not-durable",
                    absl::StrCat("fsync ", what, ": ", strerror(error)),
                    "the disk did not take the data: check its health, then restart the node");
}

std::string Base(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string Parent(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

class PosixDisk : public Disk {
 public:
  PosixDisk(UniqueFd root, std::string path) : root_(std::move(root)), path_(std::move(path)) {}

  absl::StatusOr<int> OpenFile(const std::string& path, Open how, uint32_t mode) override {
    int flags = O_WRONLY | (how == Open::kCreateNew ? O_CREAT | O_EXCL : O_APPEND);
    int fd = OpenBeneath(path, flags, how == Open::kCreateNew ? mode : 0);
    if (fd < 0) return FromErrno(errno, "open", path);
    if (how == Open::kCreateNew && fchmod(fd, mode) != 0) {  // whatever the umask says
      int error = errno;
      close(fd);
      return FromErrno(error, "chmod", path);
    }
    return fd;
  }
  absl::Status Write(int file, absl::string_view data) override {
    while (!data.empty()) {
      ssize_t n = write(file, data.data(), data.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FromErrno(errno, "write", "file");
      data.remove_prefix(static_cast<size_t>(n));
    }
    return absl::OkStatus();
  }
  absl::Status SyncFile(int file) override {
    return fsync(file) == 0 ? absl::OkStatus() : SyncError(errno, "file");
  }
  absl::StatusOr<uint64_t> Size(int file) override {
    struct stat st {};
    if (fstat(file, &st) != 0) return FromErrno(errno, "stat", "file");
    return static_cast<uint64_t>(st.st_size);
  }
  absl::Status Resize(int file, uint64_t size) override {
    if (ftruncate(file, static_cast<off_t>(size)) == 0) return absl::OkStatus();
    return FromErrno(errno, "truncate", "file");
  }
  void Close(int file) override { close(file); }

  absl::StatusOr<std::string> Read(const std::string& path, size_t max_bytes) override {
    UniqueFd fd(OpenBeneath(path, O_RDONLY, 0));
    if (!fd.valid()) return FromErrno(errno, "open", path);
    std::string out;
    char buffer[1 << 16];
    while (true) {
      ssize_t n = read(fd.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FromErrno(errno, "read", path);
      if (n == 0) return out;
      if (out.size() + static_cast<size_t>(n) > max_bytes) {
        return api::Coded(absl::StatusCode::kOutOfRange, "too-large",
                          absl::StrCat("read ", path, ": more than ", max_bytes, " bytes"));
      }
      out.append(buffer, static_cast<size_t>(n));
    }
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    UniqueFd a(OpenBeneath(Parent(from), O_PATH | O_DIRECTORY, 0));
    if (!a.valid()) return FromErrno(errno, "open", Parent(from));
    UniqueFd b(OpenBeneath(Parent(to), O_PATH | O_DIRECTORY, 0));
    if (!b.valid()) return FromErrno(errno, "open", Parent(to));
    if (renameat(a.get(), Base(from).c_str(), b.get(), Base(to).c_str()) == 0) {
      return absl::OkStatus();
    }
    return FromErrno(errno, "rename", to);
  }
  absl::Status Unlink(const std::string& path) override {
    UniqueFd dir(OpenBeneath(Parent(path), O_PATH | O_DIRECTORY, 0));
    if (!dir.valid()) return FromErrno(errno, "open", Parent(path));
    if (unlinkat(dir.get(), Base(path).c_str(), 0) == 0) return absl::OkStatus();
    return FromErrno(errno, "remove", path);
  }
  absl::Status MakeDir(const std::string& path, uint32_t mode) override {
    UniqueFd dir(OpenBeneath(Parent(path), O_PATH | O_DIRECTORY, 0));
    if (!dir.valid()) return FromErrno(errno, "open", Parent(path));
    if (mkdirat(dir.get(), Base(path).c_str(), mode) == 0) return absl::OkStatus();
    return FromErrno(errno, "make directory", path);
  }
  absl::Status SyncDir(const std::string& path) override {
    UniqueFd dir(OpenBeneath(path.empty() ? "." : path, O_RDONLY | O_DIRECTORY, 0));
    if (!dir.valid()) return FromErrno(errno, "open", path);
    return fsync(dir.get()) == 0 ? absl::OkStatus() : SyncError(errno, path.empty() ? "." : path);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    UniqueFd fd(OpenBeneath(path.empty() ? "." : path, O_RDONLY | O_DIRECTORY, 0));
    if (!fd.valid()) return FromErrno(errno, "open", path);
    DIR* dir = fdopendir(fd.get());
    if (dir == nullptr) return FromErrno(errno, "list", path);
    fd.release();  // closedir closes it
    std::vector<std::string> names;
    while (dirent* entry = readdir(dir)) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(std::move(name));
    }
    closedir(dir);
    std::sort(names.begin(), names.end());
    return names;
  }
  bool Exists(const std::string& path) override {
    return UniqueFd(OpenBeneath(path, O_PATH, 0)).valid();
  }
  absl::StatusOr<uint64_t> FreeBytes(const std::string& dir) override {
    UniqueFd fd(OpenBeneath(dir.empty() ? "." : dir, O_PATH, 0));
    struct statvfs st {};
    if (!fd.valid() || fstatvfs(fd.get(), &st) != 0) return FromErrno(errno, "statvfs", dir);
    return static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
  }
  std::string Absolute(const std::string& path) const override {
    if (path_ == "/") return absl::StrCat("/", path);
    return path.empty() ? path_ : absl::StrCat(path_, "/", path);
  }

 private:
  int OpenBeneath(const std::string& path, int flags, uint32_t mode) {
    open_how how{};
    how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    while (true) {
      long fd = syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how);
      // EAGAIN: a rename raced with the walk; the kernel asks for another try.
      if (fd >= 0 || (errno != EINTR && errno != EAGAIN)) return static_cast<int>(fd);
    }
  }

  UniqueFd root_;
  std::string path_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Disk>> OpenPosixDisk(const std::string& root) {
  UniqueFd fd(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return FromErrno(errno, "open", root);
  // fstatvfs on an O_PATH descriptor works since Linux 3.12; reading entries needs its own open.
  return std::make_unique<PosixDisk>(std::move(fd), root);
}

}  // namespace basalt::host
