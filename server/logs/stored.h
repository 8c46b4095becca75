// Reads what the store keeps of a service, the oldest first. Thread-safe: holds nothing.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/engine/node_api.h"

namespace basalt::logs {

// `directory`: absolute. Offsets: number of the file in the upper half, byte in the lower. Nothing
// before `from` is given out. NotFound "no-stored-logs".
absl::StatusOr<engine::NodeApi::LogChunk> ReadStored(const std::string& directory,
                                                     const engine::NodeApi::LogQuery& query,
                                                     absl::Time from);

}  // namespace basalt::logs
