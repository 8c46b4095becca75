// The QR code, with libqrencode as the judge: the same modules for the same text and mask.
#include <gtest/gtest.h>
#include <qrencode.h>

#include <set>
#include <string>

#include "absl/strings/str_split.h"
#include "server/controllers/system/qr_code.h"

namespace basalt::system {
namespace {

// The mask that a code says it has, beside its upper left corner.
int MaskOf(const QRcode& code) {
  unsigned bits = 0;
  for (int i = 0; i < 3; ++i) bits = bits << 1 | (code.data[8 * code.width + 2 + i] & 1);
  return static_cast<int>(bits ^ 5);  // the format is masked itself: 101 at these three
}

TEST(QrCode, IsThatOfALibraryThatWeDidNotWrite) {
  std::set<int> masks;
  for (int n = 0; n < 40; ++n) {
    std::string text = "basalt://" + std::string(64, static_cast<char>('a' + n % 6)) + "@192.0.2." +
                       std::to_string(n) + ":6050";
    text.resize(std::min<size_t>(86 + static_cast<size_t>(n) % 21, kMostQrBytes), 'x');
    QRcode* code = QRcode_encodeString8bit(text.c_str(), 5, QR_ECLEVEL_L);
    ASSERT_NE(code, nullptr);
    ASSERT_EQ(code->version, 5);
    const int mask = MaskOf(*code);
    masks.insert(mask);
    const auto ours = MakeQrCode(text, mask);
    ASSERT_TRUE(ours.has_value());
    for (int row = 0; row < kQrSize; ++row) {
      for (int column = 0; column < kQrSize; ++column) {
        ASSERT_EQ((*ours)[static_cast<size_t>(row)][static_cast<size_t>(column)],
                  (code->data[row * code->width + column] & 1) != 0)
            << row << " " << column << " mask " << mask;
      }
    }
    QRcode_free(code);
  }
  EXPECT_GE(masks.size(), 3u);
}

TEST(QrCode, WhatIsTooLongHasNone) {
  EXPECT_TRUE(MakeQrCode(std::string(kMostQrBytes, 'a')).has_value());
  EXPECT_FALSE(MakeQrCode(std::string(kMostQrBytes + 1, 'a')).has_value());
}

TEST(QrCode, TwoRowsAreALineOfHalfBlocks) {
  const std::string lines = QrLines(*MakeQrCode("basalt"), 1);
  int count = 0;
  for (absl::string_view line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
    ++count;
    size_t cells = 0;
    for (char c : line) cells += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    EXPECT_EQ(cells, static_cast<size_t>(kQrSize + 2));
  }
  EXPECT_EQ(count, (kQrSize + 2 + 1) / 2);
}

}  // namespace
}  // namespace basalt::system
