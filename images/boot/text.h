// The little that is needed of strings: this code runs with no library at all. Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace basalt::boot {

// A piece of somebody else's bytes.
struct Text {
  const char* data = nullptr;
  size_t size = 0;
};

template <size_t N>
constexpr Text Literal(const char (&text)[N]) {
  return {text, N - 1};
}

bool Equal(Text a, Text b);
bool StartsWith(Text text, Text prefix);
// The next piece up to one of `ends`; moves `rest` behind it. False at the end. Pieces may be
// empty.
bool NextPiece(Text* rest, char end, Text* piece);
// Exactly 2 * `size` lower-case hex digits.
bool ParseHex(Text hex, uint8_t* bytes, size_t size);
// Decimal, no sign, no leading zero, at most `most`.
bool ParseNumber(Text digits, uint64_t most, uint64_t* value);

// Text that is written into a buffer of the caller's. What does not fit makes it bad for good.
class Writer {
 public:
  Writer(char* buffer, size_t size) : buffer_(buffer), size_(size) {}
  Writer& Add(Text text);
  Writer& AddNumber(uint64_t value);
  Writer& AddHex(const uint8_t* bytes, size_t size);
  // Ends the text with a NUL. nullptr when something did not fit.
  const char* Finish();
  size_t length() const { return length_; }

 private:
  char* buffer_;
  size_t size_;
  size_t length_ = 0;
  bool fits_ = true;
};

}  // namespace basalt::boot
