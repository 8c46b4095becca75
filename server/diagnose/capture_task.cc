#include "server/diagnose/capture_task.h"

#include <algorithm>

#include "absl/strings/str_split.h"
#include "server/wire/fields.h"

namespace basalt::diagnose {
namespace {

constexpr size_t kMaxName = 63;
constexpr size_t kMaxText = 512;
constexpr size_t kMaxFilters = 4;

}  // namespace

std::string Pack(const CaptureTask& task) {
  wire::FieldWriter out;
  out.Text(task.interface).Text(task.peer).Number(static_cast<uint64_t>(task.duration_ms));
  out.Number(static_cast<uint64_t>(task.max_bytes)).Number(task.snap_length);
  out.Number(task.loopback ? 1 : 0).Number(task.filters.size());
  for (const auto& [link_type, instructions] : task.filters) {
    out.Number(static_cast<uint64_t>(link_type)).Number(instructions.size());
    for (const Instruction& one : instructions) {
      out.Number(one.code).Number(one.jump_true).Number(one.jump_false).Number(one.k);
    }
  }
  return out.Take();
}

std::optional<CaptureTask> UnpackTask(absl::string_view bytes) {
  wire::FieldReader in(bytes);
  CaptureTask task;
  task.interface = in.Text(kMaxName);
  task.peer = in.Text(kMaxText);
  task.duration_ms = static_cast<int64_t>(in.Number());
  task.max_bytes = static_cast<int64_t>(in.Number());
  task.snap_length = static_cast<uint32_t>(in.Number());
  task.loopback = in.Number() != 0;
  const uint64_t filters = in.Number();
  if (filters > kMaxFilters) return std::nullopt;
  for (uint64_t i = 0; i < filters && in.ok(); ++i) {
    const auto link_type = static_cast<int>(in.Number());
    const uint64_t size = in.Number();
    if (size > kMaxInstructions || task.filters.count(link_type) > 0) return std::nullopt;
    std::vector<Instruction>& all = task.filters[link_type];
    for (uint64_t k = 0; k < size && in.ok(); ++k) {
      Instruction& one = all.emplace_back();
      one.code = static_cast<uint16_t>(in.Number());
      one.jump_true = static_cast<uint8_t>(in.Number());
      one.jump_false = static_cast<uint8_t>(in.Number());
      one.k = static_cast<uint32_t>(in.Number());
    }
  }
  if (!in.done()) return std::nullopt;
  return task;
}

std::string Pack(const CaptureResult& result) {
  wire::FieldWriter out;
  out.Text(result.interface).Text(result.code).Text(result.error).Text(result.ended);
  for (int64_t n : {result.packets, result.dropped, result.own}) {
    out.Number(static_cast<uint64_t>(n));
  }
  return out.Take();
}

std::optional<CaptureResult> UnpackCapture(absl::string_view bytes) {
  wire::FieldReader in(bytes);
  CaptureResult result;
  for (std::string* t : {&result.interface, &result.code, &result.error, &result.ended}) {
    *t = in.Text(kMaxText);
  }
  for (int64_t* n : {&result.packets, &result.dropped, &result.own}) {
    *n = static_cast<int64_t>(std::min<uint64_t>(in.Number(), INT64_MAX));
  }
  if (!in.done()) return std::nullopt;
  return result;
}

std::string DefaultInterface(absl::string_view routes) {
  for (absl::string_view line : absl::StrSplit(routes, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, '\t');
    // Interface, destination, gateway, flags, ..., mask.
    if (words.size() >= 8 && words[1] == "00000000" && words[7] == "00000000") {
      return std::string(words[0]);
    }
  }
  return "";
}

}  // namespace basalt::diagnose
