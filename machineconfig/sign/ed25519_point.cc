#include "machineconfig/sign/ed25519_point.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "machineconfig/sign/openssl_ptr.h"

namespace basalt::sign {
namespace {

using Little = std::array<uint8_t, 32>;

constexpr Little FromHex(const char (&hex)[65]) {
  Little out{};
  auto nibble = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (size_t i = 0; i < 32; ++i) {
    out[i] = static_cast<uint8_t>(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
  }
  return out;
}

// Little-endian, as on the wire.
constexpr Little kP = FromHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
constexpr Little kL = FromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
constexpr Little kD = FromHex("a3785913ca4deb75abd841414d0a700098e879777940c78c73fe6f2bee6c0352");
// The y of the eight points whose order divides 8: orders 4, 1, 2, 8, 8.
constexpr Little kSmallOrderY[] = {
    FromHex("0000000000000000000000000000000000000000000000000000000000000000"),
    FromHex("0100000000000000000000000000000000000000000000000000000000000000"),
    FromHex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    FromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    FromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
};

bool Less(const Little& a, const Little& b) {
  return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend());
}

BnPtr ToBn(const Little& value) { return BnPtr(BN_lebin2bn(value.data(), 32, nullptr)); }

// x² = (y²-1) / (d·y²+1) has a root exactly when (y²-1)(d·y²+1) is a square.
bool OnCurve(const Little& y_bytes) {
  static const BIGNUM* const p = ToBn(kP).release();
  static const BIGNUM* const d = ToBn(kD).release();
  BnCtxPtr ctx(BN_CTX_new());
  BnPtr y = ToBn(y_bytes), u(BN_new()), v(BN_new());
  if (!ctx || !y || !u || !v) return false;
  if (!BN_mod_sqr(u.get(), y.get(), p, ctx.get()) ||
      !BN_mod_mul(v.get(), u.get(), d, p, ctx.get()) || !BN_add_word(v.get(), 1) ||
      !BN_sub_word(u.get(), 1) || !BN_mod_mul(u.get(), u.get(), v.get(), p, ctx.get())) {
    return false;
  }
  int symbol = BN_kronecker(u.get(), p, ctx.get());
  return symbol == 0 || symbol == 1;
}

}  // namespace

PointCheck CheckEd25519Point(absl::string_view raw32) {
  Little y;
  if (raw32.size() != y.size()) return PointCheck::kNonCanonical;
  std::memcpy(y.data(), raw32.data(), y.size());
  y[31] &= 0x7f;  // the sign of x
  if (!Less(y, kP)) return PointCheck::kNonCanonical;
  if (std::find(std::begin(kSmallOrderY), std::end(kSmallOrderY), y) != std::end(kSmallOrderY)) {
    return PointCheck::kSmallOrder;
  }
  return OnCurve(y) ? PointCheck::kGood : PointCheck::kNotOnCurve;
}

bool HasWeakR(absl::string_view signature64) {
  Little y;
  if (signature64.size() != 64) return true;
  std::memcpy(y.data(), signature64.data(), y.size());
  y[31] &= 0x7f;
  return !Less(y, kP) ||
         std::find(std::begin(kSmallOrderY), std::end(kSmallOrderY), y) != std::end(kSmallOrderY);
}

bool HasCanonicalS(absl::string_view signature64) {
  if (signature64.size() != 64) return false;
  Little s;
  std::memcpy(s.data(), signature64.data() + 32, s.size());
  return Less(s, kL);
}

}  // namespace basalt::sign
