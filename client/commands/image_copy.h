// An image onto a disk: what of it has to be written, the writing, and the proof by reading back.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/commands/target_disk.h"
#include "machineconfig/medium/bytes.h"
#include "machineconfig/medium/partitions.h"

namespace basalt::client {

struct Range {
  uint64_t start = 0, end = 0;
  bool operator==(const Range&) const = default;
};

// A file that is an image: raw, perhaps with holes.
class ImageFile : public medium::Bytes {
 public:
  // NotFound "no-such-file"; InvalidArgument "not-an-image" for one that is packed.
  static absl::StatusOr<std::unique_ptr<ImageFile>> Open(const std::string& path);
  ~ImageFile() override;
  uint64_t size() const override { return size_; }
  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) override;
  absl::Status Write(uint64_t offset, absl::string_view data) override;
  std::vector<Range> Data() const;  // where it has no holes; in order

 private:
  ImageFile(int fd, std::string path, uint64_t size)
      : fd_(fd), path_(std::move(path)), size_(size) {}
  const int fd_;
  const std::string path_;
  const uint64_t size_;
};

// What has to be written of an image to a disk that held something before. Pure. Of a partition:
// all up to its last byte that is data, zeros included, and its first and last mebibyte, by which a
// node knows that a partition is empty; whatever else the disk held there is never looked at.
// Outside of partitions: all.
std::vector<Range> ToWrite(uint64_t size, const std::vector<Range>& data,
                           const std::vector<medium::Partition>& partitions);

// `done` of `total` bytes, of the writing or of the reading back.
using Progress = std::function<void(bool verifying, uint64_t done, uint64_t total)>;

// Writes, syncs, and reads back from the device itself. A file is made anew, with holes where the
// image has them. Unavailable "write-failed"; DataLoss "verify-failed": the disk does not hold what
// was written to it.
absl::Status CopyImage(medium::Bytes& image, const std::vector<Range>& ranges,
                       const TargetDisk& target, const Progress& progress);

}  // namespace basalt::client
