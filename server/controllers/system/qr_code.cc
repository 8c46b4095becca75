#include "server/controllers/system/qr_code.h"

#include <cstdint>
#include <cstdlib>
#include <vector>

namespace basalt::system {
namespace {

// Of version 5-L: one block of so many codewords.
constexpr size_t kData = 108, kCheck = 26;
constexpr int kAlignment = 30;  // centre of the only alignment pattern

// --- Reed-Solomon over GF(256) with the polynomial 0x11d

uint8_t Multiply(uint8_t a, uint8_t b) {
  unsigned product = 0;
  for (int bit = 7; bit >= 0; --bit) {
    product = product << 1 ^ ((product >> 7) * 0x11d);
    if ((b >> bit & 1) != 0) product ^= a;
  }
  return static_cast<uint8_t>(product);
}

std::vector<uint8_t> CheckWords(const std::vector<uint8_t>& data) {
  std::vector<uint8_t> generator(kCheck, 0);
  generator[kCheck - 1] = 1;
  uint8_t root = 1;
  for (size_t i = 0; i < kCheck; ++i) {
    for (size_t j = 0; j < kCheck; ++j) {
      generator[j] = Multiply(generator[j], root);
      if (j + 1 < kCheck) generator[j] = generator[j] ^ generator[j + 1];
    }
    root = Multiply(root, 2);
  }
  std::vector<uint8_t> rest(kCheck, 0);
  for (uint8_t word : data) {
    const uint8_t factor = word ^ rest[0];
    rest.erase(rest.begin());
    rest.push_back(0);
    for (size_t i = 0; i < kCheck; ++i) {
      rest[i] = static_cast<uint8_t>(rest[i] ^ Multiply(generator[i], factor));
    }
  }
  return rest;
}

std::vector<uint8_t> Codewords(absl::string_view text) {
  // Mode "bytes", a length of 8 bits, the bytes, the end; filled up with what the standard says.
  std::vector<bool> bits;
  auto add = [&bits](unsigned value, int count) {
    for (int i = count - 1; i >= 0; --i) bits.push_back((value >> i & 1) != 0);
  };
  add(4, 4);
  add(static_cast<unsigned>(text.size()), 8);
  for (char c : text) add(static_cast<unsigned char>(c), 8);
  add(0, 4);
  std::vector<uint8_t> words;
  for (size_t i = 0; i + 8 <= bits.size(); i += 8) {
    unsigned word = 0;
    for (size_t j = 0; j < 8; ++j) word = word << 1 | (bits[i + j] ? 1U : 0U);
    words.push_back(static_cast<uint8_t>(word));
  }
  for (bool first = true; words.size() < kData; first = !first) {
    words.push_back(first ? 0xec : 0x11);
  }
  const std::vector<uint8_t> check = CheckWords(words);
  words.insert(words.end(), check.begin(), check.end());
  return words;
}

// --- the square

struct Square {
  QrModules dark = {};
  QrModules fixed = {};
  void Set(int row, int column, bool value) {
    dark[static_cast<size_t>(row)][static_cast<size_t>(column)] = value;
    fixed[static_cast<size_t>(row)][static_cast<size_t>(column)] = true;
  }
  bool At(int row, int column) const {
    return dark[static_cast<size_t>(row)][static_cast<size_t>(column)];
  }
};

int Far(int a, int b) { return std::abs(a) > std::abs(b) ? std::abs(a) : std::abs(b); }

void DrawFixed(Square& square) {
  for (int i = 0; i < kQrSize; ++i) {
    square.Set(6, i, i % 2 == 0);
    square.Set(i, 6, i % 2 == 0);
  }
  for (const auto& [row, column] :
       {std::pair(3, 3), std::pair(3, kQrSize - 4), std::pair(kQrSize - 4, 3)}) {
    for (int y = -4; y <= 4; ++y) {
      for (int x = -4; x <= 4; ++x) {
        const int far = Far(x, y);
        if (row + y < 0 || row + y >= kQrSize || column + x < 0 || column + x >= kQrSize) continue;
        square.Set(row + y, column + x, far != 2 && far != 4);
      }
    }
  }
  for (int y = -2; y <= 2; ++y) {
    for (int x = -2; x <= 2; ++x) square.Set(kAlignment + y, kAlignment + x, Far(x, y) != 1);
  }
}

// Level L and the mask, with a BCH code of their own; twice, and the module that is always dark.
void DrawFormat(Square& square, int mask) {
  const unsigned data = 1U << 3 | static_cast<unsigned>(mask);
  unsigned rest = data;
  for (int i = 0; i < 10; ++i) rest = rest << 1 ^ ((rest >> 9) * 0x537);
  const unsigned bits = (data << 10 | rest) ^ 0x5412;
  auto bit = [bits](int i) { return (bits >> i & 1) != 0; };
  for (int i = 0; i < 6; ++i) square.Set(i, 8, bit(i));
  square.Set(7, 8, bit(6));
  square.Set(8, 8, bit(7));
  square.Set(8, 7, bit(8));
  for (int i = 9; i < 15; ++i) square.Set(8, 14 - i, bit(i));
  for (int i = 0; i < 8; ++i) square.Set(8, kQrSize - 1 - i, bit(i));
  for (int i = 8; i < 15; ++i) square.Set(kQrSize - 15 + i, 8, bit(i));
  square.Set(kQrSize - 8, 8, true);
}

bool Masked(int mask, int row, int column) {
  switch (mask) {
    case 0:
      return (row + column) % 2 == 0;
    case 1:
      return row % 2 == 0;
    case 2:
      return column % 3 == 0;
    case 3:
      return (row + column) % 3 == 0;
    case 4:
      return (row / 2 + column / 3) % 2 == 0;
    case 5:
      return row * column % 2 + row * column % 3 == 0;
    case 6:
      return (row * column % 2 + row * column % 3) % 2 == 0;
    default:
      return ((row + column) % 2 + row * column % 3) % 2 == 0;
  }
}

// From the right below, two columns at a time, up and down.
void DrawData(Square& square, const std::vector<uint8_t>& words, int mask) {
  size_t next = 0;
  bool up = true;
  for (int right = kQrSize - 1; right > 0; right -= 2, up = !up) {
    if (right == 6) right = 5;  // the timing pattern has that column to itself
    for (int i = 0; i < kQrSize; ++i) {
      const int row = up ? kQrSize - 1 - i : i;
      for (int column : {right, right - 1}) {
        if (square.fixed[static_cast<size_t>(row)][static_cast<size_t>(column)]) continue;
        bool value = next < words.size() * 8 && (words[next / 8] >> (7 - next % 8) & 1) != 0;
        ++next;
        square.dark[static_cast<size_t>(row)][static_cast<size_t>(column)] =
            value != Masked(mask, row, column);
      }
    }
  }
}

// What disturbs a scanner: runs, blocks of two by two, an imbalance.
int Penalty(const Square& square) {
  int penalty = 0, dark = 0;
  for (int across = 0; across < 2; ++across) {
    for (int i = 0; i < kQrSize; ++i) {
      int run = 0;
      for (int j = 0; j < kQrSize; ++j) {
        auto at = [&](int k) { return across != 0 ? square.At(k, i) : square.At(i, k); };
        run = j > 0 && at(j) == at(j - 1) ? run + 1 : 1;
        penalty += run == 5 ? 3 : run > 5 ? 1 : 0;
      }
    }
  }
  for (int row = 0; row < kQrSize; ++row) {
    for (int column = 0; column < kQrSize; ++column) {
      dark += square.At(row, column);
      if (row == 0 || column == 0) continue;
      const bool one = square.At(row, column);
      penalty += one == square.At(row - 1, column) && one == square.At(row, column - 1) &&
                         one == square.At(row - 1, column - 1)
                     ? 3
                     : 0;
    }
  }
  return penalty + std::abs(dark * 20 - kQrSize * kQrSize * 10) / (kQrSize * kQrSize) * 10;
}

Square Draw(const std::vector<uint8_t>& words, int mask) {
  Square square;
  DrawFixed(square);
  DrawFormat(square, mask);
  DrawData(square, words, mask);
  return square;
}

}  // namespace

std::optional<QrModules> MakeQrCode(absl::string_view text, int mask) {
  if (text.size() > kMostQrBytes || mask > 7) return std::nullopt;
  const std::vector<uint8_t> words = Codewords(text);
  if (mask >= 0) return Draw(words, mask).dark;
  Square best = Draw(words, 0);
  for (int i = 1; i < 8; ++i) {
    const Square square = Draw(words, i);
    if (Penalty(square) < Penalty(best)) best = square;
  }
  return best.dark;
}

std::string QrLines(const QrModules& modules, int border) {
  auto light = [&](int row, int column) {
    row -= border;
    column -= border;
    if (row >= kQrSize + border) return false;  // below the last row of an odd number
    if (row < 0 || column < 0 || row >= kQrSize || column >= kQrSize) return true;
    return !modules[static_cast<size_t>(row)][static_cast<size_t>(column)];
  };
  const int size = kQrSize + 2 * border;
  std::string out;
  for (int row = 0; row < size; row += 2) {
    for (int column = 0; column < size; ++column) {
      const bool above = light(row, column), below = light(row + 1, column);
      out += above && below ? "\xe2\x96\x88"
             : above        ? "\xe2\x96\x80"
             : below        ? "\xe2\x96\x84"
                            : " ";
    }
    out += "\n";
  }
  return out;
}

}  // namespace basalt::system
