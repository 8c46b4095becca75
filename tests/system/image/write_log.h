// What a machine wrote to its disk and when it flushed, as QEMU's blklogwrites keeps it (the format
// of Linux's dm-log-writes): a block of 512 bytes that says so, then for each entry a block and its
// data. And a disk that is played forward through it, with the power cut in between.
//
// A disk with a volatile cache owes what was written before a flush, and nothing else: of the
// writes since the last one each may be there, in part, or not at all.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace basalt::testing {

struct LoggedWrite {
  uint64_t offset = 0;  // on the disk, bytes
  uint64_t size = 0;
  uint64_t data_at = 0;  // in the log
};

// From one flush to the next.
struct FlushEpoch {
  std::vector<LoggedWrite> writes;
  uint64_t log_end = 0;  // how long the log was when the flush that ends it was logged
};

// Without what came behind the last flush. InvalidArgument: no such log.
absl::StatusOr<std::vector<FlushEpoch>> ReadWriteLog(const std::string& path);

class ReplayedDisk {
 public:
  // `disk`: a raw file as it was when the log began; it is changed.
  ReplayedDisk(const std::string& disk, const std::string& log);
  ~ReplayedDisk();
  ReplayedDisk(const ReplayedDisk&) = delete;
  ReplayedDisk& operator=(const ReplayedDisk&) = delete;

  // All of it, for good.
  absl::Status Play(const FlushEpoch& epoch);
  // A part of it as a power cut may leave it, `look`, and back to what was before.
  absl::Status Cut(const FlushEpoch& epoch, std::mt19937& random,
                   const std::function<void()>& look);

 private:
  absl::StatusOr<std::string> Data(const LoggedWrite& write) const;
  int disk_ = -1, log_ = -1;
};

}  // namespace basalt::testing
