#include "server/controllers/storage/volume_record.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace basalt::storage {
namespace {

constexpr size_t kMostBytes = 64 << 10;
constexpr size_t kIdSize = 32, kMostName = 64;

}  // namespace

VolumeRecord ParseRecord(absl::string_view text) {
  VolumeRecord record;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    const bool id =
        pair.first.size() == kIdSize &&
        std::all_of(pair.first.begin(), pair.first.end(), [](char c) {
          return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
        });
    const bool name = !pair.second.empty() && pair.second.size() <= kMostName &&
                      std::all_of(pair.second.begin(), pair.second.end(),
                                  [](char c) { return c > ' ' && c < 127; });
    if (id && name) record.emplace(pair.first, pair.second);
  }
  return record;
}

std::string ToText(const VolumeRecord& record) {
  std::string text;
  for (const auto& [id, name] : record) absl::StrAppend(&text, id, " ", name, "\n");
  return text;
}

VolumeRecord LoadRecord(host::Vfs& vfs) {
  return ParseRecord(vfs.Read(kRecordPath, kMostBytes).value_or(""));
}

absl::Status StoreRecord(host::Vfs& vfs, const VolumeRecord& record) {
  const std::string text = ToText(record);
  auto there = vfs.Read(kRecordPath, kMostBytes);
  if (there.ok() ? *there == text : text.empty()) return absl::OkStatus();
  return vfs.Replace(kRecordPath, text);
}

}  // namespace basalt::storage
