// What noded tells a capture, and what comes back beside the packets. Plain data, pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace basalt::diagnose {

inline constexpr int kCaptureFd = 3;         // pcapng goes there; closed: nobody wants it any more
inline constexpr int kCaptureTaskFd = 4;     // memory with the task
inline constexpr int kCaptureSummaryFd = 5;  // memory for the summary
inline constexpr size_t kMaxInstructions = 4096;

struct Instruction {
  uint16_t code = 0;
  uint8_t jump_true = 0, jump_false = 0;
  uint32_t k = 0;
  bool operator==(const Instruction&) const = default;
};

struct CaptureTask {
  std::string interface;                            // "": the one with the default route
  std::string peer;                                 // whose connection is left out
  std::map<int, std::vector<Instruction>> filters;  // by type of link
  int64_t duration_ms = 30000;
  int64_t max_bytes = 10 << 20;
  uint32_t snap_length = 262144;
  bool loopback = false;  // may be captured
  bool operator==(const CaptureTask&) const = default;
};
std::string Pack(const CaptureTask& task);
std::optional<CaptureTask> UnpackTask(absl::string_view bytes);

struct CaptureResult {
  std::string interface;
  std::string code, error;  // "" when it was captured
  std::string ended;
  int64_t packets = 0, dropped = 0, own = 0;
  bool operator==(const CaptureResult&) const = default;
};
std::string Pack(const CaptureResult& result);
std::optional<CaptureResult> UnpackCapture(absl::string_view bytes);

// The interface of the default route: the first line of /proc/net/route that is one; "" when none.
std::string DefaultInterface(absl::string_view routes);

}  // namespace basalt::diagnose
