#include "server/logs/sender.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace basalt::logs {
namespace {

constexpr int kWarning = 4;

}  // namespace

absl::Duration Sender::Step(absl::Time now, bool flush) {
  const size_t most = static_cast<size_t>(spec_.batch);
  if (batch_.empty()) {
    int64_t dropped = 0;
    batch_ = queue_.Take(most, spec_.wait, now, flush, &dropped);
    if (batch_.empty()) return queue_.Due(most, spec_.wait, now);
    if (dropped > 0) {
      batch_.insert(batch_.begin(),
                    {.time = now,
                     .severity = kWarning,
                     .source = "logs",
                     .text = absl::StrCat(dropped, " lines before this one were dropped: ",
                                          spec_.name, " did not take them in time")});
    }
  }
  // The wall clock may have been set back meanwhile.
  if (now < next_try_ && next_try_ - now <= kLastRetry) return next_try_ - now;
  const absl::Status status = delivery_->Deliver(batch_);
  std::lock_guard lock(mu_);
  state_.failing = !status.ok();
  state_.message = std::string(status.message());
  if (!status.ok() && !absl::IsInvalidArgument(status)) {
    retry_ = std::clamp(2 * retry_, kFirstRetry, kLastRetry);
    next_try_ = now + retry_;
    return retry_;
  }
  (status.ok() ? state_.sent : state_.refused) += static_cast<int64_t>(batch_.size());
  batch_.clear();
  retry_ = absl::ZeroDuration();
  next_try_ = absl::InfinitePast();
  return queue_.Due(most, spec_.wait, now);
}

SinkState Sender::state() const {
  std::lock_guard lock(mu_);
  SinkState state = state_;
  state.dropped = queue_.dropped();
  return state;
}

}  // namespace basalt::logs
