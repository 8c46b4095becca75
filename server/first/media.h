// The media of a machine, as whoever looks for its first config reasons about them. Real:
// real_media.cc. Calls wait for devices: not on the loop thread, one at a time.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "server/first/volumes.h"

namespace basalt::first {

class Media {
 public:
  virtual ~Media() = default;
  virtual std::vector<Found> OnBootPartition() = 0;
  // Every other partition and disc that is there now.
  virtual std::vector<Found> Elsewhere(bool azure) = 0;
  // The one-time key of the medium, overwritten where it lies and removed, durably. False when it
  // is not there. Unavailable: try again.
  virtual absl::StatusOr<bool> WipeKey() = 0;
};

}  // namespace basalt::first
