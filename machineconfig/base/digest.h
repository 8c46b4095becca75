// SHA-256 as a value, and the encodings the whole product shares. Pure and thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt {

// 32 bytes. Prints as 64 lower-case hex digits; `ToString` adds the "sha256:" prefix of the config.
struct Digest {
  std::array<uint8_t, 32> bytes{};

  std::string Hex() const;
  std::string ToString() const;  // "sha256:<hex>"
  bool operator==(const Digest&) const = default;
  auto operator<=>(const Digest&) const = default;

  // Accepts exactly 64 lower-case hex digits, with or without "sha256:".
  static absl::StatusOr<Digest> Parse(absl::string_view text);
};

// One pass over `data`.
Digest Sha256(absl::string_view data);

// SHA-256 of a stream.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  void Update(absl::string_view data);
  Digest Finish();  // once

 private:
  void* context_;
};

std::string HexEncode(absl::string_view bytes);
// Canonical base64 with padding (RFC 4648 section 4).
std::string Base64Encode(absl::string_view bytes);
// Refuses anything that Base64Encode would not have produced: line breaks, missing padding, stray
// bits.
absl::StatusOr<std::string> Base64DecodeStrict(absl::string_view text);

}  // namespace basalt
