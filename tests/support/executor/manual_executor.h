// An Executor that is stepped by hand: nothing runs until the test says so. Blocking work runs
// inline when its turn comes, so every order is repeatable. Single-threaded.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "server/engine/executor.h"
#include "tests/support/clock/fake_clock.h"

namespace basalt::testing {

class ManualExecutor : public engine::Executor {
 public:
  explicit ManualExecutor(FakeClock& clock) : clock_(clock) {}

  void Post(std::function<void()> fn) override { queue_.push_back(std::move(fn)); }
  TimerId After(absl::Duration delay, std::function<void()> fn) override {
    TimerId id = next_id_++;
    timers_[{clock_.SinceBoot() + delay, id}] = std::move(fn);
    return id;
  }
  void CancelTimer(TimerId id) override {
    for (auto it = timers_.begin(); it != timers_.end(); ++it) {
      if (it->first.second == id) {
        timers_.erase(it);
        return;
      }
    }
  }
  bool RunBlocking(std::function<void()> work, std::function<void()> done) override {
    if (pool_full) return false;
    queue_.push_back([work = std::move(work), done = std::move(done), this] {
      work();
      queue_.push_back(done);
    });
    return true;
  }
  void WatchFd(int fd, std::function<void()> ready) override { fds_[fd] = std::move(ready); }
  void UnwatchFd(int fd) override { fds_.erase(fd); }

  // Runs what is queued, and what that queues, until nothing is left. Timers wait.
  void RunUntilIdle() {
    while (!queue_.empty()) {
      auto fn = std::move(queue_.front());
      queue_.pop_front();
      fn();
    }
  }
  // One queued function; false when there is none.
  bool RunOne() {
    if (queue_.empty()) return false;
    auto fn = std::move(queue_.front());
    queue_.pop_front();
    fn();
    return true;
  }
  // Lets boot and wall time pass, firing each timer at its moment.
  void Advance(absl::Duration by) {
    RunUntilIdle();
    absl::Duration end = clock_.SinceBoot() + by;
    while (!timers_.empty() && timers_.begin()->first.first <= end) {
      auto node = timers_.extract(timers_.begin());
      if (node.key().first > clock_.SinceBoot())
        clock_.Advance(node.key().first - clock_.SinceBoot());
      node.mapped()();
      RunUntilIdle();
    }
    if (end > clock_.SinceBoot()) clock_.Advance(end - clock_.SinceBoot());
  }
  void FdReady(int fd) {
    if (auto it = fds_.find(fd); it != fds_.end()) it->second();
  }
  size_t pending_timers() const { return timers_.size(); }
  bool idle() const { return queue_.empty(); }

  bool pool_full = false;

 private:
  FakeClock& clock_;
  std::deque<std::function<void()>> queue_;
  std::map<std::pair<absl::Duration, TimerId>, std::function<void()>> timers_;
  std::map<int, std::function<void()>> fds_;
  TimerId next_id_ = 1;
};

}  // namespace basalt::testing
