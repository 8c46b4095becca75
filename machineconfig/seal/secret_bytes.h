// Bytes that are overwritten when they are no longer needed: keys and opened secrets. Moves, never
// copies. Of a size that is fixed when it is made, so that no growth leaves a copy behind.
#pragma once

#include <openssl/crypto.h>

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace basalt::seal {

class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(size_t size) : bytes_(size) {}
  explicit SecretBytes(absl::string_view from) : bytes_(from.begin(), from.end()) {}
  ~SecretBytes() { Cleanse(); }
  SecretBytes(SecretBytes&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    if (this == &other) return *this;
    Cleanse();
    bytes_ = std::exchange(other.bytes_, {});
    return *this;
  }

  uint8_t* data() { return bytes_.data(); }
  const uint8_t* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }
  absl::string_view view() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  // Forgets the first `count` bytes.
  void RemovePrefix(size_t count) {
    std::memmove(bytes_.data(), bytes_.data() + count, bytes_.size() - count);
    OPENSSL_cleanse(bytes_.data() + bytes_.size() - count, count);
    bytes_.resize(bytes_.size() - count);  // shrinks: never moves what it holds
  }

 private:
  void Cleanse() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

  std::vector<uint8_t> bytes_;
};

}  // namespace basalt::seal
