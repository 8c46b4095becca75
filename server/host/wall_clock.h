// How well the kernel's wall clock is kept, read from the kernel itself (adjtimex(2)): nothing that
// a time server says is parsed here. Thread-safe.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/host/clock.h"

namespace basalt::host {

struct ClockState {
  bool synchronised = false;  // somebody keeps it, and has done so lately
  absl::Duration most_error;  // the most that it may be wrong by, as the kernel reckons
};

class WallClock {
 public:
  virtual ~WallClock() = default;
  virtual ClockState State() = 0;
  // What was said of it counts no more, until its keeper says so again.
  virtual absl::Status Forget() = 0;
  // Sets the clock, and forgets.
  virtual absl::Status Set(absl::Time time) = 0;
};

WallClock& RealWallClock();

// No image is run for longer: a clock beyond that was set by a time server that lies.
inline constexpr absl::Duration kImageLife = absl::Hours(24 * 3653);
// Is it a time at which this program, built at `built`, can run?
bool IsLikely(absl::Time now, absl::Time built);

// The clock of a machine whose time is kept by noded's own NTP service: synchronised when the
// kernel says so and the time is a likely one.
Clock& KeptClock();

}  // namespace basalt::host
