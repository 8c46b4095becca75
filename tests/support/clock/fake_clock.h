// A clock that moves when the test says so, and randomness that repeats.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "server/host/clock.h"

namespace basalt::testing {

class FakeClock : public host::Clock {
 public:
  absl::Time Now() override { return now_; }
  absl::Duration SinceBoot() override { return since_boot_; }
  std::string BootId() override { return absl::StrCat("boot-", boot_); }
  bool Synced() override { return synced; }

  void Advance(absl::Duration by) {
    now_ += by;
    since_boot_ += by;
  }
  void SetNow(absl::Time now) { now_ = now; }  // the wall clock jumps; boot time does not
  void Reboot() {
    ++boot_;
    since_boot_ = absl::Seconds(5);
  }
  bool synced = true;

 private:
  absl::Time now_ = absl::FromUnixSeconds(1795500000);  // 2026-11-24T06:00:00Z
  absl::Duration since_boot_ = absl::Seconds(100);
  int boot_ = 1;
};

class FakeRandom : public host::Random {
 public:
  std::string Bytes(size_t n) override {
    std::string out;
    while (out.size() < n)
      out.push_back(
          static_cast<char>((state_ = state_ * 6364136223846793005u + 1442695040888963407u) >> 56));
    return out;
  }

 private:
  uint64_t state_ = 42;
};

}  // namespace basalt::testing
