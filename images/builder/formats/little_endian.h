// Little-endian numbers in bytes, with bounds. Every format here is little-endian.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace basalt::image {

// The number at `offset`; 0 when it lies outside, which is why callers check sizes first wherever a
// 0 would mean something.
template <typename T>
T ReadNumber(absl::string_view bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return 0;
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value =
        static_cast<T>(value | static_cast<T>(static_cast<uint8_t>(bytes[offset + i])) << (8 * i));
  }
  return value;
}

// Overwrites; the place must exist.
template <typename T>
void WriteNumber(std::string& bytes, uint64_t offset, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) bytes.at(offset + i) = static_cast<char>(value >> (8 * i));
}

template <typename T>
void AppendNumber(std::string& bytes, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

inline uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

// Pads with zeros to a multiple of `unit`.
inline void Pad(std::string& bytes, uint64_t unit) {
  bytes.resize(RoundUp(bytes.size(), unit), '\0');
}

}  // namespace basalt::image
