#include "images/boot/tries.h"

namespace basalt::boot {
namespace {

constexpr uint64_t kMostTries = 9999;

bool IsOfName(unsigned c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
         c == '_' || c == '-' || c == '+' || c == '~';
}

}  // namespace

bool EntryOfVariable(Text bytes, Writer* name) {
  constexpr size_t kAttributes = 4;
  if (bytes.size < kAttributes + 4 || bytes.size % 2 != 0) return false;
  for (size_t i = kAttributes; i < bytes.size; i += 2) {
    auto low = static_cast<unsigned char>(bytes.data[i]);
    bool last = i + 2 == bytes.size;
    if (bytes.data[i + 1] != 0 || (last ? low != 0 : !IsOfName(low))) return false;
    if (!last) name->Add({bytes.data + i, 1});
  }
  return bytes.data[kAttributes] != '.' && name->Finish() != nullptr;
}

bool CountedName(Text name, Writer* next) {
  constexpr Text kEnd = Literal(".efi");
  if (name.size <= kEnd.size) return false;
  size_t end = name.size - kEnd.size, plus = end;
  if (!Equal({name.data + end, kEnd.size}, kEnd)) return false;
  while (plus > 0 && name.data[plus] != '+') --plus;
  if (plus == 0) return false;  // none, or nothing in front of it
  size_t minus = plus;
  while (minus < end && name.data[minus] != '-') ++minus;
  uint64_t left = 0, done = 0;
  if (!ParseNumber({name.data + plus + 1, minus - plus - 1}, kMostTries, &left) || left == 0 ||
      (minus < end && !ParseNumber({name.data + minus + 1, end - minus - 1}, kMostTries, &done))) {
    return false;
  }
  next->Add({name.data, plus}).Add(Literal("+")).AddNumber(left - 1);
  next->Add(Literal("-")).AddNumber(done + 1).Add(kEnd);
  return next->Finish() != nullptr;
}

}  // namespace basalt::boot
