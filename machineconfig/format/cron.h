// Schedules: the five fields of cron. Pure, thread-safe.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace basalt::format {

// Minute, hour, day, month, weekday (0-7 or names); `*`, lists, ranges and steps. "@daily" and the
// like are refused: K3s's scheduler reads five fields.
absl::Status CheckCron(absl::string_view text);

}  // namespace basalt::format
