// Files of the logs that are kept on disk: SERVICE.NUMBER.log, the highest number being written.
// Each line: its time, its severity, its text. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/logs/record.h"

namespace basalt::logs {

inline constexpr char kStoreDirectory[] = "data/logs";
// The oldest of so many goes when there is one more, so at least three quarters of what may be kept
// is kept.
inline constexpr uint64_t kFilesPerService = 4;
inline constexpr uint64_t kMaxFileNumber = 99999999;

std::string StoreName(absl::string_view service, uint64_t number);
struct StoreFile {
  std::string service;
  uint64_t number = 0;
};
std::optional<StoreFile> ParseStoreName(absl::string_view name);
// Only such sources have a file: lower-case letters, digits, dashes, at most 48.
bool IsStorable(absl::string_view service);

std::string StoreLine(const Record& record);
// When the line was said; nullopt of one that is not ours or was torn by a power cut.
std::optional<absl::Time> LineTime(absl::string_view line);

}  // namespace basalt::logs
