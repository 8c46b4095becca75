// A wall clock whose keeper is the test: moves the FakeClock that it stands beside.
#pragma once

#include "server/host/wall_clock.h"
#include "tests/support/clock/fake_clock.h"

namespace basalt::testing {

class FakeWallClock : public host::WallClock {
 public:
  explicit FakeWallClock(FakeClock& clock) : clock_(clock) {}

  host::ClockState State() override {
    return {.synchronised = clock_.synced, .most_error = most_error};
  }
  absl::Status Forget() override {
    clock_.synced = false;
    return absl::OkStatus();
  }
  absl::Status Set(absl::Time time) override {
    ++sets;
    clock_.SetNow(time);
    clock_.synced = false;
    return absl::OkStatus();
  }
  // A keeper that was answered, truly or not.
  void Keep(absl::Time time) {
    clock_.SetNow(time);
    clock_.synced = true;
  }

  absl::Duration most_error = absl::Milliseconds(5);
  int sets = 0;

 private:
  FakeClock& clock_;
};

}  // namespace basalt::testing
