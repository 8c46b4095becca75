// The least that is an EFI program with two sections and room for a signature.
#pragma once

#include <string>

namespace basalt::sign {

inline void PutLittle(std::string& bytes, size_t at, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) bytes.at(at + i) = static_cast<char>(value >> (8 * i));
}

inline constexpr size_t kTestPe = 0x80, kTestSections = kTestPe + 24 + 240;

// `tail`: bytes behind the last section.
inline std::string TestProgram(size_t tail = 0) {
  std::string s(0x400, '\0');
  s.replace(0, 2, "MZ");
  PutLittle(s, 0x3c, kTestPe, 4);
  s.replace(kTestPe, 4, std::string("PE\0\0", 4));
  PutLittle(s, kTestPe + 4, 0x8664, 2);
  PutLittle(s, kTestPe + 6, 2, 2);
  PutLittle(s, kTestPe + 20, 240, 2);
  PutLittle(s, kTestPe + 22, 0x22e, 2);
  PutLittle(s, kTestPe + 24, 0x20b, 2);
  PutLittle(s, kTestPe + 24 + 16, 0x1000, 4);
  PutLittle(s, kTestPe + 24 + 32, 0x1000, 4);
  PutLittle(s, kTestPe + 24 + 36, 0x200, 4);
  PutLittle(s, kTestPe + 24 + 56, 0x4000, 4);
  PutLittle(s, kTestPe + 24 + 60, 0x400, 4);
  PutLittle(s, kTestPe + 24 + 68, 10, 2);
  PutLittle(s, kTestPe + 24 + 108, 16, 4);
  for (size_t i = 0; i < 2; ++i) {
    const size_t at = kTestSections + 40 * i;
    s.replace(at, 5, i == 0 ? ".text" : ".data");
    PutLittle(s, at + 8, 0x200, 4);
    PutLittle(s, at + 12, 0x1000 * (i + 1), 4);
    PutLittle(s, at + 16, 0x200, 4);
    PutLittle(s, at + 20, 0x400 + 0x200 * i, 4);
    PutLittle(s, at + 36, i == 0 ? 0x60000020 : 0x40000040, 4);
  }
  s += std::string(0x200, 't') + std::string(0x200, 'd') + std::string(tail, 'x');
  return s;
}

}  // namespace basalt::sign
