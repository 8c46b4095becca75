#include "api/grpc_library.h"

#include <grpc/grpc.h>

#include <atomic>

namespace basalt::api {
namespace {

std::atomic<bool> held{false};

}  // namespace

void HoldGrpc() {
  if (!held.exchange(true)) grpc_init();
}

void EndGrpc() {
  if (held.exchange(false)) grpc_shutdown_blocking();
}

}  // namespace basalt::api
