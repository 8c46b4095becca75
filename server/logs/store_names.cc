#include "server/logs/store_names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace basalt::logs {
namespace {

constexpr char kSuffix[] = ".log";
constexpr size_t kDigits = 8;
constexpr size_t kStampSize = sizeof("2026-11-25T21:00:00.000000Z") - 1;

}  // namespace

bool IsStorable(absl::string_view service) {
  return !service.empty() && service.size() <= 48 &&
         std::all_of(service.begin(), service.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
         });
}

std::string StoreName(absl::string_view service, uint64_t number) {
  return absl::StrFormat("%s.%08d%s", service, number, kSuffix);
}

std::optional<StoreFile> ParseStoreName(absl::string_view name) {
  const size_t dot = name.find('.');
  if (dot == absl::string_view::npos || !IsStorable(name.substr(0, dot))) return std::nullopt;
  const absl::string_view rest = name.substr(dot + 1);
  StoreFile file{.service = std::string(name.substr(0, dot))};
  if (rest.size() != kDigits + sizeof kSuffix - 1 || !absl::EndsWith(rest, kSuffix) ||
      !std::all_of(rest.begin(), rest.begin() + kDigits,
                   [](char c) { return absl::ascii_isdigit(c); }) ||
      !absl::SimpleAtoi(rest.substr(0, kDigits), &file.number)) {
    return std::nullopt;
  }
  return file;
}

std::string StoreLine(const Record& record) {
  std::string line =
      absl::StrCat(absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", record.time, absl::UTCTimeZone()),
                   " ", record.severity, " ", record.text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  line += '\n';
  return line;
}

std::optional<absl::Time> LineTime(absl::string_view line) {
  absl::Time time;
  if (line.size() < kStampSize + 3 || line[kStampSize] != ' ' ||
      !absl::ParseTime("%Y-%m-%d%ET%H:%M:%E6SZ", line.substr(0, kStampSize), &time, nullptr)) {
    return std::nullopt;
  }
  return time;
}

}  // namespace basalt::logs
