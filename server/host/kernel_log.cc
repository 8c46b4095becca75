#include "server/host/kernel_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/host/fd.h"

namespace basalt::host {
namespace {

// The kernel gives out no longer one.
constexpr size_t kMaxPacket = 8192;

class Reader : public KernelLogReader {
 public:
  explicit Reader(UniqueFd fd) : fd_(std::move(fd)) {}

  absl::StatusOr<std::optional<KernelMessage>> Next() override {
    char packet[kMaxPacket];
    while (true) {
      const ssize_t n = read(fd_.get(), packet, sizeof packet);
      if (n > 0) {
        std::optional<KernelMessage> message =
            ParseKernelMessage(absl::string_view(packet, static_cast<size_t>(n)));
        if (message) return message;
        continue;
      }
      if (n == 0 || errno == EAGAIN) return std::nullopt;
      // EPIPE: the oldest have been overwritten; the next read goes on behind the gap.
      if (errno == EINTR || errno == EPIPE) continue;
      return absl::UnavailableError(absl::StrCat("the kernel's log: ", strerror(errno)));
    }
  }

 private:
  UniqueFd fd_;
};

class RealLog : public KernelLog {
 public:
  explicit RealLog(std::string path) : path_(std::move(path)) {}

  absl::StatusOr<std::unique_ptr<KernelLogReader>> Open() override {
    UniqueFd fd(open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!fd.valid()) {
      return absl::UnavailableError(absl::StrCat("the kernel's log: ", strerror(errno)));
    }
    return std::make_unique<Reader>(std::move(fd));
  }

 private:
  const std::string path_;
};

}  // namespace

std::optional<KernelMessage> ParseKernelMessage(absl::string_view packet) {
  const size_t semicolon = packet.find(';');
  if (semicolon == absl::string_view::npos) return std::nullopt;
  const std::vector<absl::string_view> head = absl::StrSplit(packet.substr(0, semicolon), ',');
  uint32_t priority = 0;
  int64_t micros = 0;
  KernelMessage message;
  if (head.size() < 3 || !absl::SimpleAtoi(head[0], &priority) ||
      !absl::SimpleAtoi(head[1], &message.sequence) || !absl::SimpleAtoi(head[2], &micros) ||
      micros < 0) {
    return std::nullopt;
  }
  message.severity = static_cast<int>(priority & 7);
  message.since_boot = absl::Microseconds(micros);
  const absl::string_view rest = packet.substr(semicolon + 1);
  message.text = std::string(rest.substr(0, std::min(rest.find('\n'), rest.size())));
  for (char& c : message.text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return message;
}

std::unique_ptr<KernelLog> MakeKernelLog(const std::string& path) {
  return std::make_unique<RealLog>(path);
}

}  // namespace basalt::host
