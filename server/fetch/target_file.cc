#include "server/fetch/target_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <utility>

namespace basalt::fetch {
namespace {

constexpr char kAttribute[] = "user.basalt.validator";
constexpr int64_t kReportEveryMs = 500;

int64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

}  // namespace

TargetFile::TargetFile(int fd, int64_t limit, std::function<void(Progress)> report)
    : fd_(fd), limit_(limit), report_(std::move(report)) {
  struct stat info {};
  if (fstat(fd_, &info) == 0) size_ = info.st_size;
  if (size_ > limit_) Restart();
  char text[2048];
  ssize_t n = fgetxattr(fd_, kAttribute, text, sizeof text);
  if (n > 0) {
    std::string value(text, static_cast<size_t>(n));
    size_t newline = value.find('\n');
    if (newline != std::string::npos) {
      etag_url_ = value.substr(0, newline);
      etag_ = value.substr(newline + 1);
    }
  }
}

Outcome TargetFile::Append(const char* data, size_t size) {
  if (static_cast<int64_t>(size) > limit_ - size_) return Outcome::kTooLarge;
  size_t done = 0;
  while (done < size) {
    ssize_t n = pwrite(fd_, data + done, size - done, size_);
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno == ENOSPC || errno == EDQUOT ? Outcome::kDiskFull : Outcome::kNotWritable;
    }
    done += static_cast<size_t>(n);
    size_ += n;
  }
  if (NowMs() - reported_ms_ >= kReportEveryMs) Flush();
  return Outcome::kOk;
}

Outcome TargetFile::Restart() {
  if (size_ != 0 && ftruncate(fd_, 0) != 0) return Outcome::kNotWritable;
  size_ = 0;
  SetValidator("", "");
  return Outcome::kOk;
}

void TargetFile::Flush() {
  reported_ms_ = NowMs();
  report_({size_, total_});
}

std::string TargetFile::Validator() const { return etag_; }
std::string TargetFile::ValidatorUrl() const { return etag_url_; }

void TargetFile::SetValidator(const std::string& url, const std::string& etag) {
  if (url == etag_url_ && etag == etag_) return;
  etag_url_ = url;
  etag_ = etag;
  std::string value = url + "\n" + etag;
  // Ignoring failure: a file system without attributes only makes a later resume less sure, and the
  // digest decides anyway.
  if (fsetxattr(fd_, kAttribute, value.data(), value.size(), 0) != 0) return;
}

}  // namespace basalt::fetch
