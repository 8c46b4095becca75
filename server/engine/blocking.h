// Work for the pool that must not be lost when its queue is full, and must not touch what may be
// gone: it owns what it needs by value.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "server/engine/executor.h"

namespace basalt::engine {

inline constexpr absl::Duration kPoolRetry = absl::Milliseconds(200);

inline void Submit(Executor& executor, std::function<void()> work, std::function<void()> done) {
  if (executor.RunBlocking(work, done)) return;
  executor.After(kPoolRetry, [&executor, work = std::move(work), done = std::move(done)] {
    Submit(executor, work, done);
  });
}

// Runs `work` on the pool and hands its result to `done` on the loop.
template <typename T>
void OnPool(Executor& executor, std::function<T()> work, std::function<void(T)> done) {
  auto result = std::make_shared<std::unique_ptr<T>>();
  Submit(
      executor, [work = std::move(work), result] { *result = std::make_unique<T>(work()); },
      [done = std::move(done), result] { done(std::move(**result)); });
}

}  // namespace basalt::engine
