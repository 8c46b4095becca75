// One line of a log on its way out, and what the sender is told and says. Plain data, pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace basalt::logs {

// Longer lines are cut: a datagram and a sink's own limit are not far above.
inline constexpr size_t kMaxText = 8 << 10;

struct Record {
  absl::Time time;
  int severity = 6;    // of syslog: 0 emergency to 7 debug
  std::string source;  // name of the service, "kernel"
  std::string text;    // one line, any bytes
  bool operator==(const Record&) const = default;
};
std::string Pack(const Record& record);
std::optional<Record> UnpackRecord(absl::string_view bytes);

// What a line says of itself: logrus's level=, klog's first letter; 6 (informational) when nothing.
int SeverityOf(absl::string_view line);

enum class Transport { kTls, kTcp, kUdp, kHttps, kHttp };
enum class Encoding { kJsonLines, kOtlp, kJournal, kLoki };

struct SinkSpec {
  std::string name;
  Transport transport = Transport::kTls;
  std::string host;
  int port = 0;
  std::string path;  // of a POST, with query
  Encoding encoding = Encoding::kJsonLines;
  std::string ca, certificate, key, token;
  int batch = 100;
  absl::Duration wait = absl::Seconds(5);
  bool operator==(const SinkSpec&) const = default;
};

struct ShipSpec {
  std::string host_name;
  std::vector<SinkSpec> sinks;
  int64_t keep_bytes = 0;  // of each service, on disk; 0: nothing is kept
  absl::Duration keep = absl::InfiniteDuration();
  bool operator==(const ShipSpec&) const = default;
};
std::string Pack(const ShipSpec& spec);
std::optional<ShipSpec> UnpackShip(absl::string_view bytes);

// How one sink does; the store on the disk has no name.
struct SinkState {
  std::string name;
  bool failing = false;
  int64_t sent = 0;
  int64_t dropped = 0;
  int64_t refused = 0;
  std::string message;
  bool operator==(const SinkState&) const = default;
};
std::string Pack(const SinkState& state);
std::optional<SinkState> UnpackState(absl::string_view bytes);

}  // namespace basalt::logs
