#include "server/init/boot/clock_floor.h"

#include <cerrno>
#include <cstring>

#include "server/init/boot/report.h"

namespace basalt::init {
namespace {

constexpr int64_t kLatest = 253402300799;  // the year 9999

bool Digits(const char* text, int count, int64_t* value) {
  *value = 0;
  for (int i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    *value = *value * 10 + (text[i] - '0');
  }
  return true;
}

// Days since 1970-01-01 of the Gregorian calendar.
int64_t Days(int64_t year, int64_t month, int64_t day) {
  if (month <= 2) --year;
  int64_t era = year / 400;
  int64_t of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int64_t FromText(const char* text, size_t size) {
  int64_t year, month, day, hour, minute, second;
  if (size < 20 || !Digits(text, 4, &year) || text[4] != '-' || !Digits(text + 5, 2, &month) ||
      text[7] != '-' || !Digits(text + 8, 2, &day) || text[10] != 'T' ||
      !Digits(text + 11, 2, &hour) || text[13] != ':' || !Digits(text + 14, 2, &minute) ||
      text[16] != ':' || !Digits(text + 17, 2, &second) || text[19] != 'Z') {
    return -1;
  }
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
      second > 60) {
    return -1;
  }
  return Days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

int64_t FromNumber(const char* text, size_t size) {
  int64_t value = 0;
  size_t i = 0;
  for (; i < size && text[i] >= '0' && text[i] <= '9'; ++i) {
    value = value * 10 + (text[i] - '0');
    if (value > kLatest) return -1;
  }
  return i == 0 ? -1 : value;
}

}  // namespace

int64_t BuildTime(const char* text, size_t size) {
  static constexpr char kKey[] = "\"buildTime\"";
  const void* found = memmem(text, size, kKey, sizeof kKey - 1);
  if (found == nullptr) return -1;
  const char* at = static_cast<const char*>(found) + sizeof kKey - 1;
  const char* end = text + size;
  bool colon = false;
  for (; at < end; ++at) {
    if (*at == ':' && !colon) {
      colon = true;
    } else if (*at != ' ' && *at != '\t' && *at != '\n' && *at != '\r') {
      break;
    }
  }
  if (!colon || at == end) return -1;
  size_t rest = static_cast<size_t>(end - at);
  return *at == '"' ? FromText(at + 1, rest - 1) : FromNumber(at, rest);
}

bool RaiseClock(Machine& machine) {
  if (!machine.OwnsKernel()) return false;
  char text[4096];
  long size = machine.Read(kImageFile, 0, text, sizeof text);
  int64_t floor = size < 0 ? -1 : BuildTime(text, static_cast<size_t>(size));
  if (floor < 0) {
    Report(machine, "no-build-time", size < 0 ? static_cast<int>(-size) : 0, "clock: %s",
           kImageFile);
    return false;
  }
  if (machine.WallSeconds() >= floor) return false;
  if (int error = machine.SetWallSeconds(floor); error != 0) {
    Report(machine, "clock-failed", error, "clock: cannot be set");
    return false;
  }
  Report(machine, nullptr, 0, "clock: was before the build of this image: set to that");
  return true;
}

}  // namespace basalt::init
