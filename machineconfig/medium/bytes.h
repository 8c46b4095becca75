// A disk, a partition of one, a file: bytes that can be read by place, and perhaps written. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::medium {

class Bytes {
 public:
  virtual ~Bytes() = default;
  virtual uint64_t size() const = 0;
  // All of it, or an error.
  virtual absl::StatusOr<std::string> Read(uint64_t offset, size_t size) = 0;
  virtual absl::Status Write(uint64_t offset, absl::string_view data) = 0;
};

// OutOfRange unless [offset, offset + size) lies within `bytes`.
absl::Status CheckRange(const Bytes& bytes, uint64_t offset, uint64_t size);

// In memory; may be written.
class MemoryBytes : public Bytes {
 public:
  explicit MemoryBytes(std::string data) : data_(std::move(data)) {}
  uint64_t size() const override { return data_.size(); }
  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) override;
  absl::Status Write(uint64_t offset, absl::string_view data) override;
  const std::string& data() const { return data_; }

 private:
  std::string data_;
};

// A part of other bytes, which outlive it.
class PartBytes : public Bytes {
 public:
  PartBytes(Bytes& whole, uint64_t start, uint64_t size)
      : whole_(whole), start_(start), size_(size) {}
  uint64_t size() const override { return size_; }
  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) override;
  absl::Status Write(uint64_t offset, absl::string_view data) override;

 private:
  Bytes& whole_;
  const uint64_t start_, size_;
};

// What is written stands in memory, over bytes that stay as they are and outlive it.
class OverlayBytes : public Bytes {
 public:
  static constexpr size_t kBlock = 4096;
  explicit OverlayBytes(Bytes& below) : below_(below) {}
  uint64_t size() const override { return below_.size(); }
  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) override;
  absl::Status Write(uint64_t offset, absl::string_view data) override;
  // The blocks that were written, by their number.
  const std::map<uint64_t, std::string>& blocks() const { return blocks_; }

 private:
  Bytes& below_;
  std::map<uint64_t, std::string> blocks_;
};

// Little-endian numbers at `at`; 0 beyond the end.
uint32_t Little(absl::string_view data, size_t at, size_t bytes);
uint64_t Little64(absl::string_view data, size_t at);
void PutLittle(std::string& data, size_t at, size_t bytes, uint32_t value);

}  // namespace basalt::medium
