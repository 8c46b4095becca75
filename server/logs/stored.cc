#include "server/logs/stored.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/host/fd.h"
#include "server/logs/store_names.h"

namespace basalt::logs {
namespace {

std::set<uint64_t> Numbers(int directory, const std::string& service) {
  std::set<uint64_t> out;
  DIR* list = fdopendir(dup(directory));
  if (list == nullptr) return out;
  rewinddir(list);
  while (const dirent* entry = readdir(list)) {
    const std::optional<StoreFile> file = ParseStoreName(entry->d_name);
    if (file && file->service == service) out.insert(file->number);
  }
  closedir(list);
  return out;
}

// Whole lines of `text` that are not older than `from`. A line without a time belongs to the one
// before it.
std::string Since(absl::string_view text, absl::Time from) {
  if (from == absl::InfinitePast()) return std::string(text);
  std::string out;
  bool in = false;
  while (!text.empty()) {
    const size_t size = std::min(text.find('\n'), text.size() - 1) + 1;
    const absl::string_view line = text.substr(0, size);
    if (std::optional<absl::Time> time = LineTime(line)) in = *time >= from;
    if (in) absl::StrAppend(&out, line);
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace

absl::StatusOr<engine::NodeApi::LogChunk> ReadStored(const std::string& directory,
                                                     const engine::NodeApi::LogQuery& query,
                                                     absl::Time from) {
  host::UniqueFd dir(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  const std::set<uint64_t> numbers =
      dir.valid() ? Numbers(dir.get(), query.service) : std::set<uint64_t>();
  if (numbers.empty()) {
    return api::Coded(absl::StatusCode::kNotFound, "no-stored-logs",
                      absl::StrCat("nothing of `", query.service, "` is kept on disk"),
                      "system.logs.retention asks for it; `nodectl get service` lists services");
  }
  engine::NodeApi::LogChunk chunk;
  chunk.next_offset = query.from_offset;
  for (auto number = numbers.lower_bound(query.from_offset >> 32); number != numbers.end();
       ++number) {
    uint64_t at = *number == query.from_offset >> 32 ? query.from_offset & 0xFFFFFFFF : 0;
    const std::string name = StoreName(query.service, *number);
    host::UniqueFd fd(
        openat(dir.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat info {};
    if (!fd.valid() || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    while (chunk.data.empty()) {
      std::string text(std::max<size_t>(query.max_bytes, 2 * kMaxText), '\0');
      const ssize_t n = pread(fd.get(), text.data(), text.size(), static_cast<off_t>(at));
      if (n <= 0) break;
      text.resize(static_cast<size_t>(n));
      // A power cut may have torn the last line of an older file.
      const size_t end = text.rfind('\n');
      if (end == std::string::npos) break;
      text.resize(end + 1);
      at += text.size();
      chunk.data = Since(text, from);
      chunk.next_offset = *number << 32 | at;
    }
    if (!chunk.data.empty()) break;
  }
  return chunk;
}

}  // namespace basalt::logs
