#include "machineconfig/format/cron.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace basalt::format {
namespace {

struct Unit {
  absl::string_view word;
  int low;
  int high;
  absl::string_view names;  // of `low`, `low` + 1, ...
};

constexpr Unit kUnits[] = {
    {"minute", 0, 59, ""},
    {"hour", 0, 23, ""},
    {"day of the month", 1, 31, ""},
    {"month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"},
    {"day of the week", 0, 7, "sun mon tue wed thu fri sat"},
};

bool ParseValue(absl::string_view text, const Unit& unit, int& out) {
  int value = unit.low;
  for (absl::string_view name : absl::StrSplit(unit.names, ' ', absl::SkipEmpty())) {
    if (absl::EqualsIgnoreCase(text, name)) {
      out = value;
      return true;
    }
    ++value;
  }
  if (text.empty() || text.size() > 2 ||
      text.find_first_not_of("0123456789") != absl::string_view::npos) {
    return false;
  }
  return absl::SimpleAtoi(text, &out) && out >= unit.low && out <= unit.high;
}

bool ParsePart(absl::string_view part, const Unit& unit) {
  const std::vector<absl::string_view> step = absl::StrSplit(part, '/');
  int number = 0;
  if (step.size() > 2) return false;
  if (step.size() == 2 && (step[1].size() > 2 || !absl::SimpleAtoi(step[1], &number) ||
                           number < 1 || !absl::ascii_isdigit(step[1][0]))) {
    return false;
  }
  if (step[0] == "*") return true;
  const std::vector<absl::string_view> range = absl::StrSplit(step[0], '-');
  int low = 0, high = 0;
  if (range.size() > 2 || !ParseValue(range[0], unit, low)) return false;
  return range.size() == 1 || (ParseValue(range[1], unit, high) && low <= high);
}

}  // namespace

absl::Status CheckCron(absl::string_view text) {
  const std::vector<absl::string_view> fields = absl::StrSplit(text, ' ', absl::SkipEmpty());
  if (fields.size() != std::size(kUnits)) {
    return absl::InvalidArgumentError(
        "not a schedule: five fields (minute, hour, day, month, weekday), such as 0 */12 * * *");
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    for (absl::string_view part : absl::StrSplit(fields[i], ',')) {
      if (ParsePart(part, kUnits[i])) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "the field for the ", kUnits[i].word, " of the schedule takes `*`, numbers from ",
          kUnits[i].low, " to ", kUnits[i].high, ", ranges, lists and steps"));
    }
  }
  return absl::OkStatus();
}

}  // namespace basalt::format
