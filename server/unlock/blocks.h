// The bytes of a partition, or of a file in a test.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "server/unlock/status.h"

namespace basalt::unlock {

class Blocks {
 public:
  virtual ~Blocks() = default;
  virtual StatusOr<std::string> Read(uint64_t offset, size_t size) = 0;  // whole
  virtual Status Write(uint64_t offset, absl::string_view bytes) = 0;    // durable
  virtual uint64_t size() const = 0;
  virtual uint32_t sector() const = 0;  // bytes
};

StatusOr<std::unique_ptr<Blocks>> OpenBlocks(const std::string& path);

}  // namespace basalt::unlock
