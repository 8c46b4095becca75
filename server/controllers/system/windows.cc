#include "server/controllers/system/windows.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "machineconfig/format/time.h"

namespace basalt::system {
namespace {

bool Begins(const v1::MaintenanceWindow& window, absl::CivilDay day) {
  if (window.days().empty()) return true;
  static constexpr const char* kDays[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
  const char* name = kDays[static_cast<int>(absl::GetWeekday(day))];
  return std::find(window.days().begin(), window.days().end(), name) != window.days().end();
}

absl::Time At(absl::CivilDay day, int minutes, absl::TimeZone zone) {
  return absl::FromCivil(absl::CivilMinute(day) + minutes, zone);
}

}  // namespace

std::optional<Window> NextWindow(const v1::Maintenance& maintenance, absl::TimeZone zone,
                                 absl::Time now) {
  std::optional<Window> best;
  const absl::CivilDay today = absl::ToCivilDay(now, zone);
  for (const v1::MaintenanceWindow& window : maintenance.windows()) {
    const auto from = format::ParseTimeOfDay(window.from());
    const auto to = format::ParseTimeOfDay(window.to());
    if (!from.ok() || !to.ok()) continue;  // validated
    // Yesterday's may last until today; a week has every day.
    for (int i = -1; i <= 7; ++i) {
      const absl::CivilDay day = today + i;
      if (!Begins(window, day)) continue;
      Window found = {.name = window.name(),
                      .begin = At(day, *from, zone),
                      .end = At(*to > *from ? day : day + 1, *to, zone)};
      if (found.end <= now || found.end <= found.begin) continue;
      if (!best || found.begin < best->begin) best = std::move(found);
    }
  }
  return best;
}

std::string Describe(const Window& window, absl::Time now) {
  const bool holds = window.Holds(now);
  return absl::StrCat(window.name, holds ? " until " : " from ",
                      absl::FormatTime("%Y-%m-%d %H:%M UTC", holds ? window.end : window.begin,
                                       absl::UTCTimeZone()));
}

bool LoadZone(const std::string& name, absl::TimeZone* zone) {
  return absl::LoadTimeZone(name.empty() ? "UTC" : name, zone);
}

}  // namespace basalt::system
