#include "server/host/boot_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/host/fd.h"

namespace basalt::host {
namespace {

constexpr size_t kPiece = 256 << 10;
constexpr char kDirectory[] = "EFI/Linux";

absl::Status Errno(const std::string& what) {
  const int code = errno;
  const std::string text = absl::StrCat(what, ": ", std::strerror(code));
  switch (code) {
    case ENOENT:
      return absl::NotFoundError(text);
    case EEXIST:
      return absl::AlreadyExistsError(text);
    case ENOSPC:
      return api::Coded(absl::StatusCode::kResourceExhausted, "esp-full", text);
    default:
      return api::Coded(absl::StatusCode::kUnavailable, "boot-disk-failed", text);
  }
}

absl::Status CheckName(const std::string& name) {
  const bool good = !name.empty() && name.size() < 128 && name[0] != '.' &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return absl::ascii_isalnum(c) || std::strchr(".+_~-", c) != nullptr;
                    });
  return good ? absl::OkStatus() : absl::InvalidArgumentError("not the name of a boot file");
}

absl::Status WriteAll(int fd, absl::string_view bytes, uint64_t at, const std::string& what) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno(what);
    bytes.remove_prefix(static_cast<size_t>(n));
    at += static_cast<uint64_t>(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSome(int fd, uint64_t at, size_t size, const std::string& what) {
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = pread(fd, bytes.data() + done, size - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno(what);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

// Durable, and out of the page cache: what is read next was on the disk.
absl::Status SyncAndForget(int fd, const std::string& what) {
  if (fsync(fd) != 0) return Errno(absl::StrCat("fsync ", what));
  struct stat info {};
  if (fstat(fd, &info) != 0) return Errno(what);
  if (S_ISBLK(info.st_mode)) {
    if (ioctl(fd, BLKFLSBUF) != 0) return Errno(absl::StrCat("flush ", what));
  } else {
    // Ignoring a failure: it is advice.
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  }
  return absl::OkStatus();
}

class PosixBootFiles : public BootFiles {
 public:
  PosixBootFiles(std::string directory, std::string mounted)
      : directory_(std::move(directory)), mounted_(std::move(mounted)) {}
  ~PosixBootFiles() override {
    dir_ = UniqueFd();
    if (!mounted_.empty()) umount2(mounted_.c_str(), UMOUNT_NOFOLLOW);
  }

  absl::Status Open() {
    const std::string path = absl::StrCat(directory_, "/", kDirectory);
    dir_ = UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return dir_.valid() ? absl::OkStatus() : Errno(absl::StrCat("open ", path));
  }

  absl::StatusOr<std::vector<BootFile>> List() override {
    std::vector<BootFile> files;
    std::error_code error;
    const std::string path = absl::StrCat(directory_, "/", kDirectory);
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
      std::error_code wrong;
      if (!entry.is_regular_file(wrong) || wrong) continue;
      files.push_back({entry.path().filename(), static_cast<int64_t>(entry.file_size(wrong))});
    }
    if (error) {
      return api::Coded(absl::StatusCode::kUnavailable, "boot-disk-failed",
                        absl::StrCat(path, ": ", error.message()));
    }
    std::sort(files.begin(), files.end(),
              [](const BootFile& a, const BootFile& b) { return a.name < b.name; });
    return files;
  }

  absl::StatusOr<std::string> Read(const std::string& name, uint64_t offset, size_t size) override {
    absl::StatusOr<UniqueFd> fd = OpenFile(name, O_RDONLY);
    return fd.ok() ? ReadSome(fd->get(), offset, size, name)
                   : absl::StatusOr<std::string>(fd.status());
  }

  absl::Status Append(const std::string& name, absl::string_view bytes) override {
    absl::StatusOr<UniqueFd> fd = OpenFile(name, O_WRONLY | O_CREAT);
    if (!fd.ok()) return fd.status();
    struct stat info {};
    if (fstat(fd->get(), &info) != 0) return Errno(name);
    return WriteAll(fd->get(), bytes, static_cast<uint64_t>(info.st_size), name);
  }

  absl::Status Sync(const std::string& name) override {
    absl::StatusOr<UniqueFd> fd = OpenFile(name, O_RDWR);
    if (!fd.ok()) return fd.status();
    absl::Status synced = SyncAndForget(fd->get(), name);
    return synced.ok() ? SyncDirectory() : synced;
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    for (const std::string& name : {from, to}) {
      if (absl::Status status = CheckName(name); !status.ok()) return status;
    }
    absl::StatusOr<int64_t> size = SizeOf(from);
    if (!size.ok()) return size.status();
    if (absl::StatusOr<int64_t> there = SizeOf(to); there.ok()) {
      absl::StatusOr<bool> same = *there == *size ? SameBytes(from, to) : false;
      if (!same.ok()) return same.status();
      if (*same && *size > 0) return Remove(from);
      if (*there > 0) return absl::AlreadyExistsError(absl::StrCat(to, " is there"));
      if (absl::Status removed = Remove(to); !removed.ok()) return removed;
    } else if (!absl::IsNotFound(there.status())) {
      return there.status();
    }
    if (absl::EndsWith(from, kUnfinishedEnd)) return RenameOnly(from, to);
    const std::string copy = absl::StrCat(to, kUnfinishedEnd);
    absl::Status status = Copy(from, copy);
    if (status.ok()) status = RenameOnly(copy, to);
    return status.ok() ? Remove(from) : status;
  }

  absl::Status Remove(const std::string& name) override {
    if (absl::Status status = CheckName(name); !status.ok()) return status;
    if (unlinkat(dir_.get(), name.c_str(), 0) != 0) {
      return errno == ENOENT ? absl::OkStatus() : Errno(absl::StrCat("remove ", name));
    }
    return SyncDirectory();
  }

  absl::StatusOr<uint64_t> FreeBytes() override {
    struct statvfs info {};
    if (fstatvfs(dir_.get(), &info) != 0) return Errno("the boot partition");
    return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  }

 private:
  absl::StatusOr<UniqueFd> OpenFile(const std::string& name, int flags) {
    if (absl::Status status = CheckName(name); !status.ok()) return status;
    UniqueFd fd(openat(dir_.get(), name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) return Errno(absl::StrCat("open ", name));
    return fd;
  }

  absl::StatusOr<int64_t> SizeOf(const std::string& name) {
    struct stat info {};
    if (fstatat(dir_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return Errno(name);
    return static_cast<int64_t>(info.st_size);
  }

  absl::StatusOr<bool> SameBytes(const std::string& a, const std::string& b) {
    for (uint64_t at = 0;; at += kPiece) {
      absl::StatusOr<std::string> left = Read(a, at, kPiece), right = Read(b, at, kPiece);
      if (!left.ok()) return left.status();
      if (!right.ok()) return right.status();
      if (*left != *right) return false;
      if (left->size() < kPiece) return true;
    }
  }

  absl::Status Copy(const std::string& from, const std::string& to) {
    absl::Status status = Remove(to);
    for (uint64_t at = 0; status.ok();) {
      absl::StatusOr<std::string> bytes = Read(from, at, kPiece);
      status = bytes.ok() ? Append(to, *bytes) : bytes.status();
      if (!status.ok() || bytes->size() < kPiece) break;
      at += bytes->size();
    }
    if (status.ok()) status = Sync(to);
    // Ignoring a failure: what is unfinished is found again as what may go.
    if (!status.ok()) (void)Remove(to);
    return status;
  }

  absl::Status RenameOnly(const std::string& from, const std::string& to) {
    if (renameat(dir_.get(), from.c_str(), dir_.get(), to.c_str()) != 0) {
      return Errno(absl::StrCat("rename ", from));
    }
    return SyncDirectory();
  }

  // The whole file system: on FAT the table is no part of the directory.
  absl::Status SyncDirectory() {
    if (syncfs(dir_.get()) != 0 || fsync(dir_.get()) != 0) return Errno("sync the boot partition");
    return absl::OkStatus();
  }

  const std::string directory_;
  const std::string mounted_;
  UniqueFd dir_;
};

class PosixBootDisk : public BootDisk {
 public:
  explicit PosixBootDisk(BootDiskPlaces places) : places_(std::move(places)) {}
  std::string running_root() const override { return places_.running_root; }
  BootSlot running_slot() const override { return places_.running; }

  absl::StatusOr<uint64_t> SlotSize(BootSlot slot) override {
    absl::StatusOr<UniqueFd> fd = OpenSlot(slot, O_RDONLY);
    return fd.ok() ? Size(fd->get(), Path(slot)) : absl::StatusOr<uint64_t>(fd.status());
  }

  absl::StatusOr<std::string> ReadSlot(BootSlot slot, uint64_t offset, size_t size) override {
    absl::StatusOr<UniqueFd> fd = OpenSlot(slot, O_RDONLY);
    return fd.ok() ? ReadSome(fd->get(), offset, size, Path(slot))
                   : absl::StatusOr<std::string>(fd.status());
  }

  absl::Status WriteSlot(BootSlot slot, uint64_t offset, absl::string_view bytes) override {
    absl::StatusOr<UniqueFd> fd = OpenForWriting(slot);
    if (!fd.ok()) return fd.status();
    absl::StatusOr<uint64_t> size = Size(fd->get(), Path(slot));
    if (!size.ok()) return size.status();
    if (offset > *size || bytes.size() > *size - offset) {
      return absl::OutOfRangeError(absl::StrCat("beyond the end of ", Path(slot)));
    }
    return WriteAll(fd->get(), bytes, offset, Path(slot));
  }

  absl::Status SyncSlot(BootSlot slot) override {
    absl::StatusOr<UniqueFd> fd = OpenForWriting(slot);
    return fd.ok() ? SyncAndForget(fd->get(), Path(slot)) : fd.status();
  }

  absl::StatusOr<std::unique_ptr<BootFiles>> OpenFiles(Open how) override {
    if (!places_.mount_at.empty()) {
      std::error_code error;
      std::filesystem::create_directories(places_.mount_at, error);
      // The same options as noded-init has: it mounts the same partition while it calls an entry
      // good, and both share one superblock then.
      if (mount(places_.esp.c_str(), places_.mount_at.c_str(), "vfat",
                MS_NOSUID | MS_NODEV | MS_NOEXEC | (how == Open::kRead ? MS_RDONLY : 0),
                "codepage=437,iocharset=ascii,umask=0077") != 0) {
        return Errno(absl::StrCat("mount the boot partition ", places_.esp));
      }
    }
    const std::string& at = places_.mount_at.empty() ? places_.esp : places_.mount_at;
    auto files = std::make_unique<PosixBootFiles>(at, places_.mount_at);
    if (absl::Status status = files->Open(); !status.ok()) return status;
    return files;
  }

 private:
  const std::string& Path(BootSlot slot) const {
    return slot == BootSlot::kA ? places_.slot_a : places_.slot_b;
  }

  absl::StatusOr<UniqueFd> OpenSlot(BootSlot slot, int flags) {
    UniqueFd fd(open(Path(slot).c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid()) return Errno(absl::StrCat("open ", Path(slot)));
    return fd;
  }

  absl::StatusOr<UniqueFd> OpenForWriting(BootSlot slot) {
    if (slot == places_.running) return InUse(slot);
    struct stat info {};
    // O_EXCL of a block device: refused while device-mapper, or anything else, holds it.
    const bool device = stat(Path(slot).c_str(), &info) == 0 && S_ISBLK(info.st_mode);
    UniqueFd fd(open(Path(slot).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | (device ? O_EXCL : 0)));
    if (fd.valid()) return fd;
    return errno == EBUSY ? InUse(slot) : Errno(absl::StrCat("open ", Path(slot)));
  }

  static absl::Status InUse(BootSlot slot) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "slot-in-use",
                      absl::StrCat("slot ", ToString(slot), " is what runs"));
  }

  static absl::StatusOr<uint64_t> Size(int fd, const std::string& path) {
    const off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0) return Errno(path);
    return static_cast<uint64_t>(end);
  }

  const BootDiskPlaces places_;
};

}  // namespace

std::unique_ptr<BootDisk> OpenBootDisk(BootDiskPlaces places) {
  return std::make_unique<PosixBootDisk>(std::move(places));
}

}  // namespace basalt::host
