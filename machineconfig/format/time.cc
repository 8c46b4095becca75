#include "machineconfig/format/time.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace basalt::format {
namespace {

absl::Status BadDuration() {
  return absl::InvalidArgumentError(
      "not a duration: a positive number with a unit h, m, s or ms, up to 8760h, such as 5m or "
      "1h30m");
}

absl::Status BadTimestamp() {
  return absl::InvalidArgumentError("not a time: RFC 3339 in UTC, such as 2026-11-23T22:15:00Z");
}

// Two or four digits at `at`; -1 when they are not digits.
int Digits(absl::string_view text, size_t at, size_t count) {
  int value = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (!absl::ascii_isdigit(text[i])) return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  // absl also takes signs, "inf", "us" and "ns".
  if (text.empty() || text.size() > 32 ||
      text.find_first_not_of("0123456789.hms") != absl::string_view::npos ||
      text.find_first_of("hms") == absl::string_view::npos) {
    return BadDuration();
  }
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration <= absl::ZeroDuration() ||
      duration > absl::Hours(8760)) {
    return BadDuration();
  }
  return duration;
}

absl::StatusOr<int> ParseTimeOfDay(absl::string_view text) {
  const int hour = text.size() == 5 ? Digits(text, 0, 2) : -1;
  const int minute = text.size() == 5 ? Digits(text, 3, 2) : -1;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || text[2] != ':') {
    return absl::InvalidArgumentError(
        "not a time of day: HH:MM from 00:00 to 23:59, such as 02:30");
  }
  return hour * 60 + minute;
}

absl::Status CheckTimeZone(absl::string_view text) {
  if (text == "UTC") return absl::OkStatus();
  const size_t slash = text.find('/');
  bool good = slash != absl::string_view::npos && text.size() <= 64;
  if (good) {
    good = false;
    for (absl::string_view area : {"Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic",
                                   "Australia", "Etc", "Europe", "Indian", "Pacific"}) {
      good = good || text.substr(0, slash) == area;
    }
    const absl::string_view name = text.substr(slash + 1);
    good = good && !name.empty() && absl::ascii_isalpha(name[0]) && name.back() != '/' &&
           !absl::StrContains(name, "//");
    for (char c : name) {
      good = good && (absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '+' || c == '/');
    }
  }
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "not a time zone: UTC, or AREA/NAME of the IANA database, such as Europe/Vienna");
}

absl::StatusOr<absl::Time> ParseTimestamp(absl::string_view text) {
  if (text.size() < 20 || text.size() > 30 || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
      text[13] != ':' || text[16] != ':' || text.back() != 'Z') {
    return BadTimestamp();
  }
  const int year = Digits(text, 0, 4), month = Digits(text, 5, 2), day = Digits(text, 8, 2);
  const int hour = Digits(text, 11, 2), minute = Digits(text, 14, 2), second = Digits(text, 17, 2);
  if (year < 1970 || month < 1 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 59) {
    return BadTimestamp();
  }
  absl::Duration fraction;
  if (text.size() > 20) {
    const absl::string_view part = text.substr(20, text.size() - 21);
    if (text[19] != '.' || part.empty() ||
        part.find_first_not_of("0123456789") != absl::string_view::npos) {
      return BadTimestamp();
    }
    int64_t nanos = 0;
    if (!absl::SimpleAtoi(part, &nanos)) return BadTimestamp();
    for (size_t i = part.size(); i < 9; ++i) nanos *= 10;
    fraction = absl::Nanoseconds(nanos);
  }
  const absl::CivilSecond civil(year, month, day, hour, minute, second);
  // 31 February is normalised by CivilSecond: a document may not mean another day than it says.
  if (civil.month() != month || civil.day() != day) return BadTimestamp();
  return absl::FromCivil(civil, absl::UTCTimeZone()) + fraction;
}

std::string FormatTimestamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

}  // namespace basalt::format
