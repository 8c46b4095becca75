#include "server/logs/queue.h"

#include <algorithm>
#include <utility>

namespace basalt::logs {

void Queue::Push(Record record, absl::Time now) {
  std::lock_guard lock(mu_);
  bytes_ += Cost(record);
  waiting_.push_back({std::move(record), now});
  while (bytes_ > most_bytes_ && waiting_.size() > 1) {
    bytes_ -= Cost(waiting_.front().record);
    waiting_.pop_front();
    ++dropped_;
    ++dropped_untold_;
  }
  pushed_ = true;
  changed_.notify_one();
}

std::vector<Record> Queue::Take(size_t most, absl::Duration wait, absl::Time now, bool flush,
                                int64_t* dropped) {
  std::lock_guard lock(mu_);
  std::vector<Record> out;
  *dropped = 0;
  if (waiting_.empty()) return out;
  // A wall clock that was set back must not keep a line for ever.
  const absl::Duration waited = now - waiting_.front().since;
  if (!flush && waiting_.size() < most && waited < wait && waited >= absl::ZeroDuration()) {
    return out;
  }
  while (!waiting_.empty() && out.size() < most) {
    bytes_ -= Cost(waiting_.front().record);
    out.push_back(std::move(waiting_.front().record));
    waiting_.pop_front();
  }
  *dropped = std::exchange(dropped_untold_, 0);
  return out;
}

absl::Duration Queue::Due(size_t most, absl::Duration wait, absl::Time now) const {
  std::lock_guard lock(mu_);
  if (waiting_.empty()) return absl::InfiniteDuration();
  const absl::Duration waited = now - waiting_.front().since;
  if (waiting_.size() >= most || waited < absl::ZeroDuration()) return absl::ZeroDuration();
  return std::max(absl::ZeroDuration(), wait - waited);
}

int64_t Queue::dropped() const {
  std::lock_guard lock(mu_);
  return dropped_;
}

void Queue::Wait(absl::Duration timeout) {
  std::unique_lock lock(mu_);
  changed_.wait_for(lock, absl::ToChronoMilliseconds(std::min(timeout, absl::Hours(1))),
                    [this] { return pushed_ || stopped_; });
  pushed_ = false;
}

void Queue::Stop() {
  std::lock_guard lock(mu_);
  stopped_ = true;
  changed_.notify_all();
}

bool Queue::stopped() const {
  std::lock_guard lock(mu_);
  return stopped_;
}

bool Queue::empty() const {
  std::lock_guard lock(mu_);
  return waiting_.empty();
}

}  // namespace basalt::logs
