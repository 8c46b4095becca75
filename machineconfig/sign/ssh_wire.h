// The wire format of SSH (RFC 4251 section 5), as far as keys and signatures need it. Private to
// machineconfig/sign. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace basalt::sign {

inline bool TakeUint32(absl::string_view* in, uint32_t* out) {
  if (in->size() < 4) return false;
  *out = 0;
  for (int i = 0; i < 4; ++i) *out = *out << 8 | static_cast<uint8_t>((*in)[i]);
  in->remove_prefix(4);
  return true;
}

// One length-prefixed string off the front of `in`, which stays as it is when there is none.
inline bool TakeString(absl::string_view* in, absl::string_view* out) {
  absl::string_view rest = *in;
  uint32_t size = 0;
  if (!TakeUint32(&rest, &size) || size > rest.size()) return false;
  *out = rest.substr(0, size);
  rest.remove_prefix(size);
  *in = rest;
  return true;
}

inline void PutUint32(std::string* out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

inline void PutString(std::string* out, absl::string_view value) {
  PutUint32(out, static_cast<uint32_t>(value.size()));
  out->append(value.data(), value.size());
}

}  // namespace basalt::sign
