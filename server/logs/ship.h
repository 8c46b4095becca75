// The process that sends lines away and keeps them on disk: a thread for each place, each with a
// queue of its own, so that one that does not take them keeps nobody waiting.
//
//   descriptor 3  the spec (record.h), sealed in memory; it holds secrets
//   descriptor 4  SOCK_SEQPACKET: records come, a packet each; states of sinks go
//   descriptor 5  the directory of the store
//
// Ends when the other end of the socket is closed, after trying for a few seconds to send what is
// in hand.
#pragma once

#include "absl/status/status.h"

namespace basalt::logs {

inline constexpr int kSpecFd = 3;
inline constexpr int kRecordsFd = 4;
inline constexpr int kStoreFd = 5;
inline constexpr size_t kMaxPacket = 32 << 10;
inline constexpr size_t kMaxSpec = 4 << 20;

absl::Status Ship();

}  // namespace basalt::logs
