#include "server/artifacts/store_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"

namespace basalt::artifacts {
namespace {

constexpr char kPrefix[] = "sha256-";
constexpr char kPartial[] = "partial-";

absl::Status Errno(const std::string& what) {
  int code = errno;
  if (code == ENOSPC || code == EDQUOT) {
    return api::Coded(absl::StatusCode::kResourceExhausted, "disk-full",
                      absl::StrCat(what, ": the disk is full"),
                      "free space on the data disk, or use a larger one");
  }
  return api::Coded(code == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kUnavailable,
                    "artifact-store-failed", absl::StrCat(what, ": ", std::strerror(code)));
}

int64_t Nanoseconds(const timespec& ts) { return ts.tv_sec * 1000000000LL + ts.tv_nsec; }

}  // namespace

FileStamp StampOf(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return {};
  return {info.st_dev, info.st_ino, info.st_size, Nanoseconds(info.st_mtim),
          Nanoseconds(info.st_ctim)};
}

absl::StatusOr<std::string> HashFd(int fd) {
  Sha256Stream hash;
  std::vector<char> buffer(256 << 10);
  off_t at = 0;
  for (;;) {
    ssize_t n = pread(fd, buffer.data(), buffer.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno("reading an artifact");
    if (n == 0) return hash.Finish().Hex();
    hash.Update(absl::string_view(buffer.data(), static_cast<size_t>(n)));
    at += n;
  }
}

std::string StoreFiles::Path(const std::string& sha256) const {
  return absl::StrCat(dir_, "/", kPrefix, sha256);
}

bool StoreFiles::Exists(const std::string& sha256) const {
  return access(Path(sha256).c_str(), F_OK) == 0;
}

absl::StatusOr<VerifiedFile> StoreFiles::OpenVerified(const std::string& sha256) const {
  std::string path = Path(sha256);
  host::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return Errno(absl::StrCat("open ", path));
  FileStamp before = StampOf(fd.get());
  absl::StatusOr<std::string> found = digest_of_(fd.get());
  if (!found.ok()) return found.status();
  FileStamp after = StampOf(fd.get());
  if (*found != sha256 || before != after) {
    return api::Coded(absl::StatusCode::kDataLoss, "artifact-damaged",
                      absl::StrCat("the stored artifact sha256:", sha256,
                                   *found != sha256 ? absl::StrCat(" has become sha256:", *found)
                                                    : std::string(" changed while it was read")),
                      "it is fetched again");
  }
  return VerifiedFile{std::move(fd), after};
}

absl::StatusOr<host::UniqueFd> StoreFiles::OpenStamped(const std::string& sha256,
                                                       const FileStamp& stamp) const {
  host::UniqueFd fd(open(Path(sha256).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return Errno("open an artifact");
  if (StampOf(fd.get()) != stamp) return absl::AbortedError("the artifact is another file now");
  return fd;
}

absl::StatusOr<host::UniqueFd> StoreFiles::OpenPartial(const std::string& sha256) const {
  std::string path = absl::StrCat(dir_, "/", kPartial, sha256);
  host::UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return Errno(absl::StrCat("open ", path));
  return fd;
}

void StoreFiles::RemovePartial(const std::string& sha256) const {
  unlink(absl::StrCat(dir_, "/", kPartial, sha256).c_str());
}

absl::Status StoreFiles::Commit(const std::string& sha256, int fd) const {
  // Durable first: what fsync reports is about the bytes that are hashed next.
  if (fsync(fd) != 0) return Errno("fsync of an artifact");
  FileStamp before = StampOf(fd);
  absl::StatusOr<std::string> found = digest_of_(fd);
  if (!found.ok()) return found.status();
  if (*found != sha256) {
    RemovePartial(sha256);
    return api::Coded(absl::StatusCode::kDataLoss, "artifact-digest-mismatch",
                      absl::StrCat("expected sha256:", sha256, ", got sha256:", *found),
                      "the config pins another file than the URLs have");
  }
  if (StampOf(fd) != before) {
    RemovePartial(sha256);
    return api::Coded(absl::StatusCode::kDataLoss, "artifact-digest-mismatch",
                      absl::StrCat("sha256:", sha256, " was written to while it was checked"));
  }
  if (fchmod(fd, 0555) != 0) return Errno("chmod of an artifact");
  std::string partial = absl::StrCat(dir_, "/", kPartial, sha256);
  // The name must still be that of the descriptor: somebody may have put another file there.
  struct stat named {
  }, held{};
  if (lstat(partial.c_str(), &named) != 0 || fstat(fd, &held) != 0 || named.st_ino != held.st_ino ||
      named.st_dev != held.st_dev) {
    return api::Coded(absl::StatusCode::kDataLoss, "artifact-digest-mismatch",
                      absl::StrCat(partial, " is another file than the one that was checked"));
  }
  if (rename(partial.c_str(), Path(sha256).c_str()) != 0) return Errno("rename of an artifact");
  host::UniqueFd dir(open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid() || fsync(dir.get()) != 0) return Errno("fsync of the artifact store");
  return absl::OkStatus();
}

void StoreFiles::Remove(const std::string& sha256) const { unlink(Path(sha256).c_str()); }

void StoreFiles::KeepOnly(const std::set<std::string>& keep) const {
  DIR* dir = opendir(dir_.c_str());
  if (dir == nullptr) return;
  while (dirent* entry = readdir(dir)) {
    absl::string_view name = entry->d_name;
    bool ours = absl::StartsWith(name, kPrefix) || absl::StartsWith(name, kPartial);
    std::string digest(name.substr(std::min(name.size(), name.find('-') + 1)));
    if (ours && keep.count(digest) == 0) unlinkat(dirfd(dir), entry->d_name, 0);
  }
  closedir(dir);
}

}  // namespace basalt::artifacts
