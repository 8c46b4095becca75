// What the kernel has said since it started, as its own ring keeps it (/dev/kmsg). One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace basalt::host {

struct KernelMessage {
  uint64_t sequence = 0;
  int severity = 6;           // of syslog
  absl::Duration since_boot;  // of the clock that the kernel's log has: suspends do not count
  std::string text;           // one line; control characters as the kernel escapes them
};

// Reads on from the oldest message that is kept.
class KernelLogReader {
 public:
  virtual ~KernelLogReader() = default;
  // The next one; nullopt: there is none yet. What the ring has lost in between shows in the
  // sequence numbers.
  virtual absl::StatusOr<std::optional<KernelMessage>> Next() = 0;
};

class KernelLog {
 public:
  virtual ~KernelLog() = default;
  virtual absl::StatusOr<std::unique_ptr<KernelLogReader>> Open() = 0;
};

// One packet of /dev/kmsg: "6,339,5140900,-;text\n KEY=value\n". Pure; programs write there too.
std::optional<KernelMessage> ParseKernelMessage(absl::string_view packet);

std::unique_ptr<KernelLog> MakeKernelLog(const std::string& path = "/dev/kmsg");

}  // namespace basalt::host
