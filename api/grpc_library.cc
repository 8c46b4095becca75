#include "api/grpc_library.h"

#include <grpc/grpc.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace basalt::api {
namespace {

std::atomic<bool> held{false};

// A connection that is being closed holds gRPC until its last callback; nobody tells when that is.
// It takes a millisecond on a machine that is not loaded, and a program has to end.
constexpr std::chrono::seconds kWaitAtMost{1};
constexpr std::chrono::milliseconds kLookEvery{1};

}  // namespace

void HoldGrpc() {
  if (!held.exchange(true)) grpc_init();
}

void EndGrpc() {
  if (!held.exchange(false)) return;
  grpc_shutdown_blocking();
  const auto end = std::chrono::steady_clock::now() + kWaitAtMost;
  while (grpc_is_initialized() != 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(kLookEvery);
  }
}

}  // namespace basalt::api
