#include "machineconfig/seal/bech32.h"

#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace basalt::seal {
namespace {

constexpr absl::string_view kAlphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
constexpr size_t kChecksum = 6;
constexpr size_t kMaxText = 8 << 10;

uint32_t Step(uint32_t state, uint32_t value) {
  constexpr uint32_t kGenerator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
  const uint32_t top = state >> 25;
  state = (state & 0x1ffffff) << 5 ^ value;
  for (int i = 0; i < 5; ++i) {
    if (top >> i & 1) state ^= kGenerator[i];
  }
  return state;
}

uint32_t OfPrefix(absl::string_view prefix) {
  uint32_t state = 1;
  for (char c : prefix) state = Step(state, static_cast<unsigned char>(c) >> 5);
  state = Step(state, 0);
  for (char c : prefix) state = Step(state, static_cast<unsigned char>(c) & 31);
  return state;
}

}  // namespace

std::string Bech32Encode(absl::string_view prefix, absl::string_view bytes) {
  std::string out = absl::StrCat(prefix, "1");
  uint32_t state = OfPrefix(prefix), buffer = 0;
  int bits = 0;
  auto put = [&](uint32_t value) {
    state = Step(state, value);
    out += kAlphabet[value];
  };
  for (char c : bytes) {
    buffer = (buffer << 8 | static_cast<unsigned char>(c)) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) put(buffer >> (bits - 5) & 31);
  }
  if (bits > 0) put(buffer << (5 - bits) & 31);
  for (size_t i = 0; i < kChecksum; ++i) state = Step(state, 0);
  state ^= 1;
  for (size_t i = 0; i < kChecksum; ++i) out += kAlphabet[state >> 5 * (5 - i) & 31];
  return out;
}

std::optional<Bech32Text> Bech32Decode(absl::string_view text) {
  if (text.size() > kMaxText) return std::nullopt;
  const std::string lower = absl::AsciiStrToLower(text);
  if (lower != text && absl::AsciiStrToUpper(text) != text) return std::nullopt;
  const size_t one = lower.rfind('1');
  if (one == std::string::npos || one == 0 || lower.size() - one - 1 < kChecksum) {
    return std::nullopt;
  }
  Bech32Text out{.prefix = lower.substr(0, one)};
  for (char c : out.prefix) {
    if (c < 33 || c > 126) return std::nullopt;
  }
  uint32_t state = OfPrefix(out.prefix), buffer = 0;
  int bits = 0;
  for (size_t i = one + 1; i < lower.size(); ++i) {
    const size_t value = kAlphabet.find(lower[i]);
    if (value == kAlphabet.npos) return std::nullopt;
    state = Step(state, static_cast<uint32_t>(value));
    if (i + kChecksum >= lower.size()) continue;
    buffer = (buffer << 5 | static_cast<uint32_t>(value)) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.bytes += static_cast<char>(buffer >> bits & 0xff);
    }
  }
  if (state != 1 || bits >= 5 || (buffer & ((1u << bits) - 1)) != 0) return std::nullopt;
  return out;
}

}  // namespace basalt::seal
