#include "server/logs/store_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "server/logs/store_names.h"

namespace basalt::logs {
namespace {

absl::Status Failed(const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
}

std::vector<std::string> Names(int directory) {
  std::vector<std::string> out;
  const int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* list = copy < 0 ? nullptr : fdopendir(copy);
  if (list == nullptr) {
    if (copy >= 0) close(copy);
    return out;
  }
  while (const dirent* entry = readdir(list)) out.emplace_back(entry->d_name);
  closedir(list);
  return out;
}

}  // namespace

absl::Status StoreWriter::Deliver(const std::vector<Record>& records) {
  std::map<std::string, std::string> texts;
  absl::Time now;
  for (const Record& record : records) {
    if (!IsStorable(record.source)) continue;
    texts[record.source] += StoreLine(record);
    now = std::max(now, record.time);
  }
  // When one fails all come again: a line twice is better than none.
  absl::Status first;
  for (const auto& [service, text] : texts) {
    absl::Status status = Append(service, text, now);
    if (!status.ok() && first.ok()) first = status;
  }
  return first;
}

void StoreWriter::Find(const std::string& service, Current* current) {
  current->known = true;
  for (const std::string& name : Names(directory_.get())) {
    const std::optional<StoreFile> file = ParseStoreName(name);
    if (file && file->service == service) current->number = std::max(current->number, file->number);
  }
  const std::string name = StoreName(service, current->number);
  host::UniqueFd fd(openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0) return;
  current->size = static_cast<uint64_t>(info.st_size);
  char head[64];
  const ssize_t n = pread(fd.get(), head, sizeof head, 0);
  const std::optional<absl::Time> begin =
      LineTime(absl::string_view(head, static_cast<size_t>(std::max<ssize_t>(n, 0))));
  current->begin = begin.value_or(absl::InfinitePast());
}

absl::Status StoreWriter::Append(const std::string& service, const std::string& text,
                                 absl::Time now) {
  Current& current = current_[service];
  if (!current.known) {
    Find(service, &current);
    Prune(service, current.number, now);
  }
  const uint64_t most = static_cast<uint64_t>(keep_bytes_) / kFilesPerService;
  const bool full = current.size > 0 && current.size + text.size() > most;
  const bool old = current.size > 0 && now - current.begin > keep_ / kFilesPerService;
  if ((full || old) && current.number < kMaxFileNumber) {
    current.number += 1;
    current.size = 0;
    Prune(service, current.number, now);
  }
  const std::string name = StoreName(service, current.number);
  host::UniqueFd fd(openat(directory_.get(), name.c_str(),
                           O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!fd.valid()) return Failed(name);
  if (current.size == 0) current.begin = now;
  const ssize_t written = write(fd.get(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) {
    absl::Status status = written < 0 ? Failed(name) : absl::UnavailableError("the disk is full");
    // The piece comes again as a whole.
    (void)!ftruncate(fd.get(), static_cast<off_t>(current.size));
    return status;
  }
  current.size += text.size();
  return absl::OkStatus();
}

void StoreWriter::Prune(const std::string& service, uint64_t current, absl::Time now) {
  for (const std::string& name : Names(directory_.get())) {
    const std::optional<StoreFile> file = ParseStoreName(name);
    if (!file || file->service != service || file->number >= current) continue;
    struct stat info {};
    const bool gone = fstatat(directory_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0;
    const bool old = !gone && now - absl::FromUnixSeconds(info.st_mtime) > keep_;
    if (file->number + kFilesPerService <= current || old) {
      unlinkat(directory_.get(), name.c_str(), 0);
    }
  }
}

}  // namespace basalt::logs
