// Times and durations as they stand in documents. Pure, thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace basalt::format {

// Go style, units h m s ms, positive, at most 8760h: "5m", "1h30m", "1.5s". A bare number and a
// negative or infinite duration are refused.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

// "02:00": minutes since midnight, from 0 to 1439.
absl::StatusOr<int> ParseTimeOfDay(absl::string_view text);

// "UTC" or AREA/NAME with an area of the IANA database. Whether the name exists is not known here.
absl::Status CheckTimeZone(absl::string_view text);

// RFC 3339 in UTC, "2026-11-23T22:15:00Z", fractions to nanoseconds; the calendar is checked.
absl::StatusOr<absl::Time> ParseTimestamp(absl::string_view text);
// Whole seconds: what ParseTimestamp reads back.
std::string FormatTimestamp(absl::Time time);

}  // namespace basalt::format
