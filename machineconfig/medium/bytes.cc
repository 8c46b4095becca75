#include "machineconfig/medium/bytes.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace basalt::medium {

absl::Status CheckRange(const Bytes& bytes, uint64_t offset, uint64_t size) {
  if (offset <= bytes.size() && size <= bytes.size() - offset) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat(size, " bytes at ", offset, " are beyond the end"));
}

absl::StatusOr<std::string> MemoryBytes::Read(uint64_t offset, size_t size) {
  if (absl::Status s = CheckRange(*this, offset, size); !s.ok()) return s;
  return data_.substr(offset, size);
}

absl::Status MemoryBytes::Write(uint64_t offset, absl::string_view data) {
  if (absl::Status s = CheckRange(*this, offset, data.size()); !s.ok()) return s;
  data_.replace(offset, data.size(), data.data(), data.size());
  return absl::OkStatus();
}

absl::StatusOr<std::string> PartBytes::Read(uint64_t offset, size_t size) {
  if (absl::Status s = CheckRange(*this, offset, size); !s.ok()) return s;
  return whole_.Read(start_ + offset, size);
}

absl::Status PartBytes::Write(uint64_t offset, absl::string_view data) {
  if (absl::Status s = CheckRange(*this, offset, data.size()); !s.ok()) return s;
  return whole_.Write(start_ + offset, data);
}

absl::StatusOr<std::string> OverlayBytes::Read(uint64_t offset, size_t size) {
  if (absl::Status s = CheckRange(*this, offset, size); !s.ok()) return s;
  absl::StatusOr<std::string> out = below_.Read(offset, size);
  if (!out.ok() || size == 0) return out;
  for (auto it = blocks_.lower_bound(offset / kBlock); it != blocks_.end(); ++it) {
    const uint64_t start = it->first * kBlock;
    if (start >= offset + size) break;
    const uint64_t from = std::max(start, offset);
    const uint64_t to = std::min(start + it->second.size(), offset + size);
    if (from < to) out->replace(from - offset, to - from, it->second, from - start, to - from);
  }
  return out;
}

absl::Status OverlayBytes::Write(uint64_t offset, absl::string_view data) {
  if (absl::Status s = CheckRange(*this, offset, data.size()); !s.ok()) return s;
  while (!data.empty()) {
    const uint64_t number = offset / kBlock, start = number * kBlock;
    auto it = blocks_.find(number);
    if (it == blocks_.end()) {
      absl::StatusOr<std::string> block =
          below_.Read(start, std::min<uint64_t>(kBlock, size() - start));
      if (!block.ok()) return block.status();
      it = blocks_.emplace(number, *std::move(block)).first;
    }
    const size_t at = offset - start, n = std::min(data.size(), it->second.size() - at);
    it->second.replace(at, n, data.data(), n);
    data.remove_prefix(n);
    offset += n;
  }
  return absl::OkStatus();
}

uint32_t Little(absl::string_view data, size_t at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = bytes; i-- > 0;) {
    value = value << 8 | (at + i < data.size() ? static_cast<uint8_t>(data[at + i]) : 0);
  }
  return value;
}

uint64_t Little64(absl::string_view data, size_t at) {
  return Little(data, at, 4) | static_cast<uint64_t>(Little(data, at + 4, 4)) << 32;
}

void PutLittle(std::string& data, size_t at, size_t bytes, uint32_t value) {
  for (size_t i = 0; i < bytes && at + i < data.size(); ++i, value >>= 8) {
    data[at + i] = static_cast<char>(value & 0xff);
  }
}

}  // namespace basalt::medium
