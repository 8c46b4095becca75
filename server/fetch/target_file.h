// The file that a download goes to: an open descriptor that may hold the beginning already. Counts
// against the limit before it writes. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "server/fetch/fetch_protocol.h"

namespace basalt::fetch {

class TargetFile {
 public:
  // `report` is told about progress, at most twice a second, and at the end by Flush.
  TargetFile(int fd, int64_t limit, std::function<void(Progress)> report);

  int64_t size() const { return size_; }
  int64_t limit() const { return limit_; }
  void set_total(int64_t total) { total_ = total; }

  // kOk, kTooLarge (nothing is written beyond the limit), kDiskFull or kNotWritable.
  Outcome Append(const char* data, size_t size);
  // From the first byte again.
  Outcome Restart();
  void Flush();

  // The validator (ETag) of what is there, kept with the file where its file system has attributes:
  // a later process resumes only what has not changed. "" when unknown.
  std::string Validator() const;
  void SetValidator(const std::string& url, const std::string& etag);
  std::string ValidatorUrl() const;

 private:
  int fd_;
  int64_t limit_;
  int64_t size_ = 0;
  int64_t total_ = 0;
  std::string etag_, etag_url_;
  int64_t reported_ms_ = 0;
  std::function<void(Progress)> report_;
};

}  // namespace basalt::fetch
