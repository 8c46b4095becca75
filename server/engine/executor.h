// Where things run. One loop thread owns every decision; a pool does what blocks and posts its
// result back. The real executor is epoll and a pool of 2 (real_executor.h); tests step one by hand
// (tests/support/manual_executor.h). Post and RunBlocking may be called from any thread, the rest
// from the loop thread only.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/time/time.h"

namespace basalt::engine {

class Executor {
 public:
  using TimerId = uint64_t;  // never 0
  virtual ~Executor() = default;
  virtual void Post(std::function<void()> fn) = 0;
  // Runs `fn` on the loop after `delay` of boot time (CLOCK_BOOTTIME: suspends count).
  virtual TimerId After(absl::Duration delay, std::function<void()> fn) = 0;
  virtual void CancelTimer(TimerId id) = 0;  // OK when it has run
  // `work` on the pool, then `done` on the loop. False: the bounded queue is full and neither will
  // run.
  virtual bool RunBlocking(std::function<void()> work, std::function<void()> done) = 0;
  // Calls `ready` on the loop whenever `fd` is readable, until UnwatchFd.
  virtual void WatchFd(int fd, std::function<void()> ready) = 0;
  virtual void UnwatchFd(int fd) = 0;
};

}  // namespace basalt::engine
