// Published vectors: RFC 7748, RFC 5869, RFC 4231; those of age itself are in vectors_test.cc.
#include "machineconfig/seal/primitives.h"

#include "tests/unit/machineconfig/seal/testing.h"

namespace basalt::seal {
namespace {

SecretBytes FromHex(absl::string_view hex) { return SecretBytes(Hex(hex)); }

TEST(Primitives, X25519IsThatOfRfc7748Section5_2) {
  auto shared = X25519(Hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                       Hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"));
  ASSERT_TRUE(shared.has_value());
  EXPECT_EQ(shared->view(),
            Hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"));
  const std::string scalar(32, '\x51');
  EXPECT_EQ(X25519(scalar, "\x09" + std::string(31, '\0'))->view(), X25519Base(scalar));
}

// Every encoding of a point of order 1, 2, 4 or 8, non-canonical ones too.
constexpr const char* kLowOrder[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

TEST(Primitives, PointsOfLowOrderShareNoSecret) {
  for (const char* point : kLowOrder) {
    EXPECT_FALSE(X25519(std::string(32, 'k'), Hex(point)).has_value()) << point;
  }
}

TEST(Primitives, HkdfIsThatOfRfc5869) {
  // A.1, of whose 42 bytes these are the first 32; A.3 without salt and info.
  EXPECT_EQ(
      Hkdf(std::string(22, '\x0b'), Hex("000102030405060708090a0b0c"), Hex("f0f1f2f3f4f5f6f7f8f9"))
          .view(),
      Hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"));
  EXPECT_EQ(Hkdf(std::string(22, '\x0b'), "", "").view(),
            Hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"));
}

TEST(Primitives, HmacIsThatOfRfc4231) {
  EXPECT_EQ(HmacSha256("Jefe", "what do ya want for nothing?"),
            Hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
}

TEST(Primitives, ChaCha20Poly1305OpensWhatItSealedAndNothingElse) {
  const SecretBytes key = FromHex(std::string(64, '8'));
  Nonce nonce{1, 2, 3};
  for (const std::string& text : {std::string(), std::string("x"), std::string(70000, 'y')}) {
    std::string sealed;
    AeadSeal(key, nonce, text, sealed);
    ASSERT_EQ(sealed.size(), text.size() + kTagSize);
    SecretBytes out(text.size());
    EXPECT_TRUE(AeadOpen(key, nonce, sealed, out.data()));
    EXPECT_EQ(out.view(), text);
    sealed[0] ^= 1;
    EXPECT_FALSE(AeadOpen(key, nonce, sealed, out.data()));
    EXPECT_EQ(out.view(), std::string(text.size(), '\0'));
    EXPECT_FALSE(AeadOpen(key, nonce, "short", out.data()));
  }
}

TEST(Primitives, RawBase64IsCanonicalAndWithoutPadding) {
  EXPECT_EQ(Base64Raw("a"), "YQ");
  EXPECT_EQ(Base64RawDecode("YQ"), "a");
  EXPECT_EQ(Base64RawDecode(""), "");
  for (const char* bad : {"YQ==", "YR", "Y", "Y Q", "YQ\n", "_-", "YWJj="}) {
    EXPECT_FALSE(Base64RawDecode(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace basalt::seal
