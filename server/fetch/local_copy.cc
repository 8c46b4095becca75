#include "server/fetch/local_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace basalt::fetch {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Outcome Copy(int from, const std::string& path, TargetFile& target, std::string* error) {
  struct stat info {};
  if (fstat(from, &info) != 0 || !S_ISREG(info.st_mode)) {
    *error = path + " is not a regular file";
    return Outcome::kFailed;
  }
  if (info.st_size > target.limit()) {
    *error = path + " has " + std::to_string(info.st_size) + " bytes, at most " +
             std::to_string(target.limit()) + " are allowed";
    return Outcome::kTooLarge;
  }
  target.set_total(info.st_size);
  if (Outcome outcome = target.Restart(); outcome != Outcome::kOk) return outcome;
  std::vector<char> buffer(256 << 10);
  for (;;) {
    ssize_t n = read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      *error = "read " + path + ": " + strerror(errno);
      return Outcome::kFailed;
    }
    if (n == 0) return Outcome::kOk;
    Outcome outcome = target.Append(buffer.data(), static_cast<size_t>(n));
    if (outcome != Outcome::kOk) {
      *error = outcome == Outcome::kTooLarge ? path + " grew while it was copied"
                                             : "cannot write the copy";
      return outcome;
    }
  }
}

}  // namespace

std::string LocalPath(const std::string& url) {
  std::string rest;
  if (url.rfind("file:///", 0) == 0) {
    rest = url.substr(7);
  } else if (url.rfind("file://localhost/", 0) == 0) {
    rest = url.substr(16);
  } else {
    return "";
  }
  std::string path;
  for (size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] != '%') {
      path += rest[i];
      continue;
    }
    int high = i + 2 < rest.size() ? HexValue(rest[i + 1]) : -1;
    int low = i + 2 < rest.size() ? HexValue(rest[i + 2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return "";
    path += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return path;
}

Outcome CopyLocal(const std::string& url, TargetFile& target, std::string* error) {
  std::string path = LocalPath(url);
  if (path.empty()) {
    *error = "not a URL of a local file";
    return Outcome::kFailed;
  }
  // O_NONBLOCK: a FIFO must not hold the download up; regular files do not care.
  int from = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (from < 0) {
    *error = "open " + path + ": " + strerror(errno);
    return Outcome::kFailed;
  }
  Outcome outcome = Copy(from, path, target, error);
  close(from);
  return outcome;
}

}  // namespace basalt::fetch
