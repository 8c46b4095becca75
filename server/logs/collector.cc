#include "server/logs/collector.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/engine/log_sources.h"

namespace basalt::logs {
namespace {

constexpr size_t kChunk = 64 << 10;
constexpr size_t kMaxMarks = 512;
constexpr int kWarning = 4;

// Programs that run once and speak to noded alone, and the sender itself: what it said would come
// back to it.
bool IsForwarded(absl::string_view service) {
  for (absl::string_view prefix :
       {"fetch-", "image-fetch-", "manifest-fetch-", "probe-", "capture-"}) {
    if (absl::StartsWith(service, prefix)) return false;
  }
  return service != kSenderService;
}

}  // namespace

void Collector::Look() {
  const absl::Duration now = clock_.SinceBoot();
  const bool first = !watching_since_.has_value();
  if (first) watching_since_ = now;
  absl::StatusOr<std::vector<host::ServiceStatus>> list = supervisor_.List();
  if (!list.ok()) return;
  for (const host::ServiceStatus& status : *list) {
    absl::StatusOr<uint64_t> written = supervisor_.OutputOffset(status.name);
    if (!written.ok()) continue;
    auto [it, fresh] = services_.try_emplace(status.name);
    Service& service = it->second;
    if (fresh) service.since_begin = !first || *written == 0;
    if (!fresh && service.written == *written) continue;
    service.written = *written;
    service.marks.push_back({now, *written});
    if (service.marks.size() <= kMaxMarks) continue;
    // Older times are known less exactly.
    std::deque<Mark> fewer;
    for (size_t i = 0; i < service.marks.size(); ++i) {
      if (i % 2 == 0 || i >= kMaxMarks / 2) fewer.push_back(service.marks[i]);
    }
    service.marks.swap(fewer);
  }
}

std::optional<uint64_t> Collector::OffsetAt(const std::string& name, absl::Duration ago) const {
  const auto it = services_.find(name);
  if (!watching_since_ || it == services_.end()) return std::nullopt;
  const Service& service = it->second;
  const absl::Duration at = clock_.SinceBoot() - ago;
  std::optional<uint64_t> offset;
  for (const Mark& mark : service.marks) {
    if (mark.at <= at) offset = mark.offset;
  }
  if (offset) return offset;
  return service.since_begin ? std::optional<uint64_t>(0) : std::nullopt;
}

void Collector::Collect(const Read& read, const Mask& mask, const Emit& emit) {
  LoadCursors();
  std::string nothing;
  if (!mask(nothing).ok()) return;
  CollectKernel(mask, emit);
  for (const auto& [name, service] : services_) {
    if (IsForwarded(name) && !CollectService(name, read, emit)) break;
  }
  SaveCursors();
}

bool Collector::CollectService(const std::string& name, const Read& read, const Emit& emit) {
  uint64_t& cursor = cursors_[name];
  while (cursor != services_[name].written) {
    absl::StatusOr<engine::NodeApi::LogChunk> chunk =
        read({.service = name, .from_offset = cursor, .max_bytes = kChunk});
    if (!chunk.ok()) return true;
    const absl::Time now = clock_.Now();
    const uint64_t begin = chunk->next_offset - chunk->data.size();
    if (begin > cursor && !chunk->data.empty()) {
      const std::string gap =
          absl::StrCat(begin - cursor, " bytes of ", name,
                       " before this line were overwritten before they could be sent");
      if (!emit({.time = now, .severity = kWarning, .source = kSenderService, .text = gap})) {
        return false;
      }
    }
    // Behind the end as well: the supervisor may be another one.
    if (chunk->data.empty()) {
      cursor = std::min(cursor, chunk->next_offset);
      return true;
    }
    cursor = begin;
    absl::string_view rest = chunk->data;
    while (!rest.empty()) {
      const size_t size = std::min(rest.find('\n'), rest.size() - 1) + 1;
      absl::string_view line = rest.substr(0, size);
      absl::ConsumeSuffix(&line, "\n");
      absl::ConsumeSuffix(&line, "\r");
      if (!line.empty() && !emit({.time = now,
                                  .severity = SeverityOf(line),
                                  .source = name,
                                  .text = std::string(line.substr(0, kMaxText))})) {
        return false;
      }
      cursor += size;
      rest.remove_prefix(size);
    }
  }
  return true;
}

void Collector::CollectKernel(const Mask& mask, const Emit& emit) {
  const std::string kernel = engine::LogSources::kKernel;
  if (kernel_reader_ == nullptr) {
    absl::StatusOr<std::unique_ptr<host::KernelLogReader>> reader = kernel_.Open();
    if (!reader.ok()) return;
    kernel_reader_ = *std::move(reader);
  }
  uint64_t& next = cursors_[kernel];
  while (!kernel_pending_.empty() || ReadKernel(mask, next)) {
    const host::KernelMessage& message = kernel_pending_.front();
    const absl::Time now = clock_.Now();
    if (message.sequence > next && next > 0 &&
        !emit({.time = now,
               .severity = kWarning,
               .source = kernel,
               .text = absl::StrCat(message.sequence - next,
                                    " lines of the kernel before this one were overwritten")})) {
      return;
    }
    next = message.sequence;
    if (!emit({.time = now - (clock_.SinceBoot() - message.since_boot),
               .severity = message.severity,
               .source = kernel,
               .text = message.text})) {
      return;
    }
    next = message.sequence + 1;
    kernel_pending_.pop_front();
  }
}

// Many at once: looking for every secret costs more than a line is worth.
bool Collector::ReadKernel(const Mask& mask, uint64_t from) {
  if (kernel_reader_ == nullptr) return false;
  std::string all;
  while (all.size() < kChunk) {
    absl::StatusOr<std::optional<host::KernelMessage>> message = kernel_reader_->Next();
    if (!message.ok()) {
      kernel_reader_.reset();
      break;
    }
    if (!*message) break;
    if ((*message)->sequence < from) continue;
    absl::StrAppend(&all, (*message)->text, "\n");
    kernel_pending_.push_back(**std::move(message));
  }
  // What is masked is as long as it was.
  if (!mask(all).ok()) {
    kernel_pending_.clear();
    kernel_reader_.reset();
    return false;
  }
  absl::string_view rest = all;
  for (host::KernelMessage& message : kernel_pending_) {
    message.text = std::string(rest.substr(0, message.text.size()));
    rest.remove_prefix(message.text.size() + 1);
  }
  return !kernel_pending_.empty();
}

void Collector::LoadCursors() {
  if (std::exchange(loaded_, true)) return;
  saved_ = vfs_.Read(kCursorFile, 64 << 10).value_or("");
  for (absl::string_view line : absl::StrSplit(saved_, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    uint64_t offset = 0;
    if (words.size() == 2 && absl::SimpleAtoi(words[1], &offset)) {
      cursors_[std::string(words[0])] = offset;
    }
  }
}

void Collector::SaveCursors() {
  std::string text;
  for (const auto& [name, offset] : cursors_) absl::StrAppend(&text, name, " ", offset, "\n");
  if (text == saved_) return;
  // Ignoring a failure: a noded that is replaced sends some lines twice then.
  if (vfs_.ReplaceVolatile(kCursorFile, text).ok()) saved_ = std::move(text);
}

}  // namespace basalt::logs
