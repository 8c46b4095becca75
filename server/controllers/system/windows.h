// When a machine may reboot by itself. Pure: the time and the zone are passed in.
#pragma once

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "basalt/v1/system.pb.h"

namespace basalt::system {

struct Window {
  std::string name;
  absl::Time begin;
  absl::Time end;
  bool Holds(absl::Time now) const { return begin <= now && now < end; }
  bool operator==(const Window&) const = default;
};

// The one that `now` lies in, else the next to begin; nullopt without windows. A time of the day
// that a zone leaves out when its clocks go forward begins when they have; one that it has twice,
// at the first.
std::optional<Window> NextWindow(const v1::Maintenance& maintenance, absl::TimeZone zone,
                                 absl::Time now);

// "nights until 2026-11-28 05:00 UTC", "nights from ...".
std::string Describe(const Window& window, absl::Time now);

// Does this machine know the zone? Those of the world are a table that an image may lack.
bool LoadZone(const std::string& name, absl::TimeZone* zone);

}  // namespace basalt::system
