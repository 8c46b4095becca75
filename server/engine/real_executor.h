// The executor of noded: one loop thread on epoll, one timerfd on CLOCK_BOOTTIME, and a pool of two
// threads with a bounded queue. Post and RunBlocking from any thread; Stop from any thread; the
// rest on the loop thread (the one that calls Run), or before Run starts.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "server/engine/executor.h"

namespace basalt::engine {

struct RealExecutorOptions {
  int pool_threads = 2;
  size_t queue = 64;  // jobs that wait for a pool thread; more are refused
};

class RealExecutor : public Executor {
 public:
  // Runs the loop on the calling thread until Stop. Jobs of the pool that have begun are finished,
  // those that wait are dropped, and nothing posted after Stop runs.
  virtual void Run() = 0;
  virtual void Stop() = 0;
};

// ResourceExhausted or Internal when the kernel gives no epoll, timer or event descriptor.
absl::StatusOr<std::unique_ptr<RealExecutor>> MakeRealExecutor(
    const RealExecutorOptions& options = {});

}  // namespace basalt::engine
