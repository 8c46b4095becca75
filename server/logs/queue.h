// Lines on their way to one place, bounded in bytes: whoever puts one in never waits. When it is
// full the oldest go, and are counted. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "server/logs/record.h"

namespace basalt::logs {

class Queue {
 public:
  explicit Queue(size_t most_bytes) : most_bytes_(most_bytes) {}

  void Push(Record record, absl::Time now);
  // Up to `most` records, when so many wait, or the oldest has waited for `wait`, or `flush`; else
  // none. `dropped`: how many went before them since the last time that any were taken.
  std::vector<Record> Take(size_t most, absl::Duration wait, absl::Time now, bool flush,
                           int64_t* dropped);
  // How long until Take may give something; infinite while the queue is empty.
  absl::Duration Due(size_t most, absl::Duration wait, absl::Time now) const;
  int64_t dropped() const;  // since the start

  // Until something was pushed, Stop was called, or `timeout` has passed.
  void Wait(absl::Duration timeout);
  // Nothing more comes.
  void Stop();
  bool stopped() const;
  bool empty() const;

 private:
  struct Waiting {
    Record record;
    absl::Time since;
  };
  static size_t Cost(const Record& record) { return record.text.size() + 128; }

  const size_t most_bytes_;
  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  size_t bytes_ = 0;
  int64_t dropped_ = 0;
  int64_t dropped_untold_ = 0;
  bool stopped_ = false;
  bool pushed_ = false;
};

}  // namespace basalt::logs
