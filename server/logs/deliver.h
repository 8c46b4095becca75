// How records reach a sink: syslog over TLS, TCP or UDP, or POST over HTTP. Each keeps its
// connection while it is good. Blocks for at most kPatience a call (the resolver's own time aside).
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/logs/sender.h"

namespace basalt::logs {

inline constexpr absl::Duration kPatience = absl::Seconds(15);

std::unique_ptr<Delivery> MakeDelivery(const SinkSpec& spec, const std::string& host_name);

}  // namespace basalt::logs
