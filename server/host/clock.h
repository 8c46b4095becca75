// Time and randomness, passed in. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace basalt::host {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() = 0;            // wall clock: may jump, may be wrong
  virtual absl::Duration SinceBoot() = 0;  // CLOCK_BOOTTIME: what every timer and deadline uses
  virtual std::string BootId() = 0;        // changes with every boot
  virtual bool Synced() = 0;               // sandbox: the wall clock is past the build time
};

class Random {
 public:
  virtual ~Random() = default;
  virtual std::string Bytes(size_t n) = 0;  // cryptographic
};

Clock& RealClock();
Random& RealRandom();

}  // namespace basalt::host
