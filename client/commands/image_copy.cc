#include "client/commands/image_copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt::client {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kPiece = 4 * kMebibyte;

absl::Status WriteFailed(const std::string& path) {
  const int code = errno;
  return api::Coded(
      absl::StatusCode::kUnavailable, "write-failed", absl::StrCat(path, ": ", std::strerror(code)),
      code == EACCES || code == EPERM ? "writing to a disk wants root: sudo nodectl ..." : "");
}

absl::StatusOr<std::string> ReadAll(int fd, uint64_t offset, size_t size, const std::string& path) {
  std::string out(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = pread(fd, out.data() + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      return api::Coded(absl::StatusCode::kUnavailable, "read-failed",
                        absl::StrCat(path, ": ", n < 0 ? std::strerror(errno) : "it ends early"));
    }
    done += static_cast<size_t>(n);
  }
  return out;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ImageFile>> ImageFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    const std::string why = fd < 0 ? std::strerror(errno) : "not a file";
    if (fd >= 0) close(fd);
    return api::Coded(absl::StatusCode::kNotFound, "no-such-file", absl::StrCat(path, ": ", why),
                      "`./dev image` builds one: the file that ends in .raw");
  }
  std::unique_ptr<ImageFile> file(new ImageFile(fd, path, static_cast<uint64_t>(info.st_size)));
  if (absl::StatusOr<std::vector<medium::Partition>> table = medium::ReadPartitions(*file);
      !table.ok()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "not-an-image",
                      absl::StrCat(path, ": ", table.status().message()),
                      "the image as it is built, .raw, not packed and not .qcow2");
  }
  return file;
}

ImageFile::~ImageFile() { close(fd_); }

absl::StatusOr<std::string> ImageFile::Read(uint64_t offset, size_t size) {
  if (absl::Status s = medium::CheckRange(*this, offset, size); !s.ok()) return s;
  return ReadAll(fd_, offset, size, path_);
}

absl::Status ImageFile::Write(uint64_t, absl::string_view) {
  return absl::UnimplementedError("the image stays as it is");
}

std::vector<Range> ImageFile::Data() const {
  std::vector<Range> out;
  for (off_t at = 0; static_cast<uint64_t>(at) < size_;) {
    const off_t data = lseek(fd_, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    const off_t hole = data < 0 ? -1 : lseek(fd_, data, SEEK_HOLE);
    // A file system that knows no holes: all of it.
    if (data < 0 || hole <= data) return {{0, size_}};
    out.push_back({static_cast<uint64_t>(data), static_cast<uint64_t>(hole)});
    at = hole;
  }
  return out;
}

std::vector<Range> ToWrite(uint64_t size, const std::vector<Range>& data,
                           const std::vector<medium::Partition>& partitions) {
  std::vector<medium::Partition> sorted = partitions;
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.start < b.start; });
  std::vector<Range> out;
  uint64_t at = 0;
  for (const medium::Partition& p : sorted) {
    const uint64_t end = p.start + p.size;
    if (at < p.start) out.push_back({at, p.start});
    uint64_t last = p.start;
    for (const Range& d : data) {
      if (d.start < end && d.end > p.start) last = std::max(last, std::min(d.end, end));
    }
    last = std::max(last, std::min(p.start + kMebibyte, end));
    out.push_back({p.start, last});
    if (last < end) out.push_back({std::max(last, end - std::min(kMebibyte, p.size)), end});
    at = std::max(at, end);
  }
  if (at < size) out.push_back({at, size});
  // What touches is one.
  std::vector<Range> joined;
  for (const Range& r : out) {
    if (!joined.empty() && joined.back().end >= r.start) {
      joined.back().end = std::max(joined.back().end, r.end);
    } else {
      joined.push_back(r);
    }
  }
  return joined;
}

absl::Status CopyImage(medium::Bytes& image, const std::vector<Range>& ranges,
                       const TargetDisk& target, const Progress& progress) {
  // O_EXCL of a device: refused while anything has it mounted or built upon it.
  const int flags = target.is_file ? O_RDWR | O_CREAT | O_TRUNC : O_RDWR | O_EXCL;
  Descriptor out(open(target.path.c_str(), flags | O_CLOEXEC, 0600));
  if (out.get() < 0) return WriteFailed(target.path);
  if (target.is_file && ftruncate(out.get(), static_cast<off_t>(image.size())) != 0) {
    return WriteFailed(target.path);
  }
  uint64_t total = 0;
  for (const Range& r : ranges) total += r.end - r.start;
  for (const bool verifying : {false, true}) {
    if (verifying) {
      if (fsync(out.get()) != 0) return WriteFailed(target.path);
      // From the device, not from memory. Ignoring failures: advice for a file, root's for a disk.
      if (!target.is_file) (void)ioctl(out.get(), BLKFLSBUF);
      (void)posix_fadvise(out.get(), 0, 0, POSIX_FADV_DONTNEED);
    }
    uint64_t done = 0;
    for (const Range& r : ranges) {
      for (uint64_t at = r.start; at < r.end;) {
        const size_t size = std::min(kPiece, r.end - at);
        absl::StatusOr<std::string> piece = image.Read(at, size);
        if (!piece.ok()) return piece.status();
        if (verifying) {
          absl::StatusOr<std::string> there = ReadAll(out.get(), at, size, target.path);
          if (!there.ok()) return there.status();
          if (*there != *piece) {
            return api::Coded(absl::StatusCode::kDataLoss, "verify-failed",
                              absl::StrCat(target.path, " does not hold what was written, in the ",
                                           "4 MiB at ", at),
                              "the medium is broken, or smaller than it says: take another");
          }
        } else {
          for (size_t written = 0; written < size;) {
            const ssize_t n = pwrite(out.get(), piece->data() + written, size - written,
                                     static_cast<off_t>(at + written));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return WriteFailed(target.path);
            written += static_cast<size_t>(n);
          }
        }
        at += size;
        done += size;
        if (progress) progress(verifying, done, total);
      }
    }
  }
  if (!target.is_file)
    (void)ioctl(out.get(), BLKRRPART);  // ignoring: who plugs it in reads it anew
  return absl::OkStatus();
}

}  // namespace basalt::client
