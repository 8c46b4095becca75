// One sink: takes lines from its queue in batches, hands them to what delivers, and waits longer
// and longer while that fails. What was dropped meanwhile is said in a line of its own. Time is
// passed in. One thread, but for state().
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/logs/queue.h"
#include "server/logs/record.h"

namespace basalt::logs {

class Delivery {
 public:
  virtual ~Delivery() = default;
  // InvalidArgument: the sink takes these records never. Anything else: not now; they come again,
  // also if some of them arrived.
  virtual absl::Status Deliver(const std::vector<Record>& records) = 0;
};

class Sender {
 public:
  static constexpr absl::Duration kFirstRetry = absl::Seconds(1);
  static constexpr absl::Duration kLastRetry = absl::Minutes(1);

  Sender(const SinkSpec& spec, std::unique_ptr<Delivery> delivery, Queue& queue)
      : spec_(spec), delivery_(std::move(delivery)), queue_(queue) {
    state_.name = spec.name;
  }
  // Does what is due; how long until there may be more to do. `flush`: do not wait for company.
  absl::Duration Step(absl::Time now, bool flush);
  bool idle() const { return batch_.empty(); }
  SinkState state() const;

 private:
  const SinkSpec spec_;
  const std::unique_ptr<Delivery> delivery_;
  Queue& queue_;
  std::vector<Record> batch_;  // under way
  absl::Duration retry_ = absl::ZeroDuration();
  absl::Time next_try_ = absl::InfinitePast();
  mutable std::mutex mu_;
  SinkState state_;  // guarded by mu_
};

}  // namespace basalt::logs
