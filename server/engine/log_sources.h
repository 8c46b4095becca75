// Logs beside the rings that the supervisor keeps, as the engine reads them for `Logs`. What they
// give out is masked by the engine. Implemented by server/logs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/engine/node_api.h"

namespace basalt::engine {

class LogSources {
 public:
  // The name that no service has.
  static constexpr char kKernel[] = "kernel";

  virtual ~LogSources() = default;
  // Loop thread. Whole lines of the kernel's log; offsets are its sequence numbers.
  virtual absl::StatusOr<NodeApi::LogChunk> Kernel(const NodeApi::LogQuery& query) = 0;
  // Any thread, may wait for the disk. Whole lines of what is kept there.
  virtual absl::StatusOr<NodeApi::LogChunk> Stored(const NodeApi::LogQuery& query) const = 0;
  // Loop thread. How much `service` had written `ago`; absent when nobody has looked.
  virtual std::optional<uint64_t> OffsetAt(const std::string& service,
                                           absl::Duration ago) const = 0;
};

}  // namespace basalt::engine
