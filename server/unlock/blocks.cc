#include "server/unlock/blocks.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace basalt::unlock {
namespace {

Status Failed(absl::string_view what, const std::string& path, int error) {
  return UnavailableError(absl::StrCat(what, " ", path, ": ", strerror(error)));
}

class FileBlocks : public Blocks {
 public:
  FileBlocks(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~FileBlocks() override { close(fd_); }
  Status Measure() {
    struct stat info = {};
    if (fstat(fd_, &info) != 0) return Failed("stat", path_, errno);
    if (!S_ISBLK(info.st_mode)) {
      size_ = static_cast<uint64_t>(info.st_size);
      return OkStatus();
    }
    int sector = 0;
    if (ioctl(fd_, BLKGETSIZE64, &size_) != 0 || ioctl(fd_, BLKSSZGET, &sector) != 0) {
      return Failed("measure", path_, errno);
    }
    sector_ = static_cast<uint32_t>(sector);
    return OkStatus();
  }
  StatusOr<std::string> Read(uint64_t offset, size_t size) override {
    std::string bytes(size, '\0');
    for (size_t done = 0; done < size;) {
      const ssize_t n =
          pread(fd_, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return Failed("read", path_, n < 0 ? errno : EIO);
      done += static_cast<size_t>(n);
    }
    return bytes;
  }
  Status Write(uint64_t offset, absl::string_view bytes) override {
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t n =
          pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return Failed("write", path_, n < 0 ? errno : EIO);
      done += static_cast<size_t>(n);
    }
    return fsync(fd_) == 0 ? OkStatus() : Failed("sync", path_, errno);
  }
  uint64_t size() const override { return size_; }
  uint32_t sector() const override { return sector_; }

 private:
  int fd_;
  std::string path_;
  uint64_t size_ = 0;
  uint32_t sector_ = 512;
};

}  // namespace

StatusOr<std::unique_ptr<Blocks>> OpenBlocks(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return Failed("open", path, errno);
  auto blocks = std::make_unique<FileBlocks>(fd, path);
  if (Status status = blocks->Measure(); !status.ok()) return status;
  return blocks;
}

}  // namespace basalt::unlock
