#include "server/engine/floor_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace basalt::engine {
namespace {

// The year 9999: what is later is no time.
constexpr int64_t kLatest = 253402300799;

}  // namespace

std::string FloorToText(const stored::Floor& floor, absl::Time time_floor) {
  return absl::StrCat(floor.epoch(), " ", floor.generation(), " ",
                      floor.digest().empty() ? "-" : floor.digest(), " ",
                      absl::ToUnixSeconds(time_floor), "\n");
}

bool FloorFromText(absl::string_view text, stored::Floor* floor, absl::Time* time_floor) {
  if (!absl::ConsumeSuffix(&text, "\n")) return false;
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ' ');
  int64_t epoch = 0, generation = 0, unix_seconds = 0;
  if (parts.size() != 4 || !absl::SimpleAtoi(parts[0], &epoch) ||
      !absl::SimpleAtoi(parts[1], &generation) || !absl::SimpleAtoi(parts[3], &unix_seconds)) {
    return false;
  }
  const bool digest =
      parts[2].size() == 64 && std::all_of(parts[2].begin(), parts[2].end(),
                                           [](unsigned char c) { return absl::ascii_isxdigit(c); });
  if (epoch < 0 || generation < 0 || unix_seconds < 0 || unix_seconds > kLatest ||
      !(digest || parts[2] == "-")) {
    return false;
  }
  floor->set_epoch(epoch);
  floor->set_generation(generation);
  floor->set_digest(digest ? std::string(parts[2]) : "");
  *time_floor = absl::FromUnixSeconds(unix_seconds);
  return true;
}

}  // namespace basalt::engine
