#include "images/boot/text.h"

namespace basalt::boot {
namespace {

constexpr char kHex[] = "0123456789abcdef";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

bool Equal(Text a, Text b) { return a.size == b.size && StartsWith(a, b); }

bool StartsWith(Text text, Text prefix) {
  if (text.size < prefix.size) return false;
  for (size_t i = 0; i < prefix.size; ++i) {
    if (text.data[i] != prefix.data[i]) return false;
  }
  return true;
}

bool NextPiece(Text* rest, char end, Text* piece) {
  if (rest->size == 0) return false;
  size_t length = 0;
  while (length < rest->size && rest->data[length] != end) ++length;
  *piece = {rest->data, length};
  size_t taken = length < rest->size ? length + 1 : length;
  rest->data += taken;
  rest->size -= taken;
  return true;
}

bool ParseHex(Text hex, uint8_t* bytes, size_t size) {
  if (hex.size != 2 * size) return false;
  for (size_t i = 0; i < size; ++i) {
    int high = HexValue(hex.data[2 * i]);
    int low = HexValue(hex.data[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

bool ParseNumber(Text digits, uint64_t most, uint64_t* value) {
  if (digits.size == 0 || (digits.size > 1 && digits.data[0] == '0')) return false;
  uint64_t sum = 0;
  for (size_t i = 0; i < digits.size; ++i) {
    if (digits.data[i] < '0' || digits.data[i] > '9') return false;
    uint64_t digit = static_cast<uint64_t>(digits.data[i] - '0');
    if (digit > most || sum > (most - digit) / 10) return false;
    sum = sum * 10 + digit;
  }
  *value = sum;
  return true;
}

Writer& Writer::Add(Text text) {
  if (!fits_ || text.size >= size_ - length_) {  // one byte is for the end
    fits_ = false;
    return *this;
  }
  for (size_t i = 0; i < text.size; ++i) buffer_[length_ + i] = text.data[i];
  length_ += text.size;
  return *this;
}

Writer& Writer::AddNumber(uint64_t value) {
  char digits[20];
  size_t first = sizeof digits;
  do {
    digits[--first] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  return Add({digits + first, sizeof digits - first});
}

Writer& Writer::AddHex(const uint8_t* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    char pair[2] = {kHex[bytes[i] >> 4], kHex[bytes[i] & 15]};
    Add({pair, 2});
  }
  return *this;
}

const char* Writer::Finish() {
  if (!fits_ || size_ == 0) return nullptr;
  buffer_[length_] = 0;
  return buffer_;
}

}  // namespace basalt::boot
