// Keeps lines on disk: appended in large pieces and never synced, so that flash lives; a power cut
// costs the last half minute. Without lines nothing is written. Bounded for each service. In
// noded-wire; one thread.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/host/fd.h"
#include "server/logs/record.h"
#include "server/logs/sender.h"

namespace basalt::logs {

// As a Delivery its batches are what makes the pieces large: 64 KiB or half a minute.
class StoreWriter : public Delivery {
 public:
  static constexpr int kBatch = 512;
  static constexpr absl::Duration kWait = absl::Seconds(30);

  StoreWriter(host::UniqueFd directory, int64_t keep_bytes, absl::Duration keep)
      : directory_(std::move(directory)), keep_bytes_(keep_bytes), keep_(keep) {}

  absl::Status Deliver(const std::vector<Record>& records) override;

 private:
  struct Current {
    uint64_t number = 0;
    uint64_t size = 0;
    absl::Time begin;
    bool known = false;  // looked for on the disk
  };
  absl::Status Append(const std::string& service, const std::string& text, absl::Time now);
  void Find(const std::string& service, Current* current);
  // Files of `service` that are beyond what may be kept.
  void Prune(const std::string& service, uint64_t current, absl::Time now);

  const host::UniqueFd directory_;
  const int64_t keep_bytes_;
  const absl::Duration keep_;
  std::map<std::string, Current> current_;
};

}  // namespace basalt::logs
