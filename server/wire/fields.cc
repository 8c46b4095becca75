#include "server/wire/fields.h"

namespace basalt::wire {
namespace {

constexpr size_t kNumberBytes = 8;

}  // namespace

FieldWriter& FieldWriter::Number(uint64_t number) {
  for (size_t i = 0; i < kNumberBytes; ++i) out_.push_back(static_cast<char>(number >> (8 * i)));
  return *this;
}

FieldWriter& FieldWriter::Text(absl::string_view text) {
  Number(text.size());
  out_.append(text.data(), text.size());
  return *this;
}

uint64_t FieldReader::Number() {
  if (!ok_ || rest_.size() < kNumberBytes) {
    ok_ = false;
    return 0;
  }
  uint64_t number = 0;
  for (size_t i = 0; i < kNumberBytes; ++i) {
    number |= static_cast<uint64_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
  }
  rest_.remove_prefix(kNumberBytes);
  return number;
}

std::string FieldReader::Text(size_t most) {
  const uint64_t size = Number();
  if (!ok_ || size > most || size > rest_.size()) {
    ok_ = false;
    return "";
  }
  std::string text(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return text;
}

}  // namespace basalt::wire
