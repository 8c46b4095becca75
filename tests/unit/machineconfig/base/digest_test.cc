#include "machineconfig/base/digest.h"

#include <gtest/gtest.h>

namespace basalt {
namespace {

constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Digest, MatchesTheVectorsOfFips180) {
  EXPECT_EQ(Sha256("abc").Hex(), kAbc);
  EXPECT_EQ(Sha256("").Hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256("abc").ToString(), std::string("sha256:") + kAbc);
}

TEST(Digest, AStreamGivesTheSameInAnyPieces) {
  const std::string data(100000, 'x');
  for (size_t piece : {1u, 63u, 64u, 65u, 4096u}) {
    Sha256Stream stream;
    for (size_t i = 0; i < data.size(); i += piece) {
      stream.Update(absl::string_view(data).substr(i, piece));
    }
    EXPECT_EQ(stream.Finish(), Sha256(data)) << piece;
  }
}

TEST(Digest, ParsesOnlyLowerHexOfTheRightLength) {
  EXPECT_EQ(*Digest::Parse(kAbc), Sha256("abc"));
  EXPECT_EQ(*Digest::Parse(std::string("sha256:") + kAbc), Sha256("abc"));
  std::string upper = kAbc;
  upper[0] = 'B';
  for (const std::string& bad :
       {std::string(), std::string("sha256:"), upper, std::string(kAbc) + "0",
        std::string(kAbc).substr(1), "md5:" + std::string(kAbc), std::string(64, 'g')}) {
    EXPECT_FALSE(Digest::Parse(bad).ok()) << bad;
  }
}

TEST(Base64, RoundTripsEveryLength) {
  std::string bytes;
  for (int i = 0; i < 70; ++i) {
    const auto decoded = Base64DecodeStrict(Base64Encode(bytes));
    ASSERT_TRUE(decoded.ok()) << i;
    EXPECT_EQ(*decoded, bytes);
    bytes += static_cast<char>(i * 37);
  }
}

TEST(Base64, RefusesWhatTheEncoderWouldNotWrite) {
  EXPECT_EQ(*Base64DecodeStrict("YWI="), "ab");
  for (const char* bad : {"YWI", "YWI==", "YWJ=", "YW I=", "YWI=\n", "YW-_", "====", "Y"}) {
    EXPECT_FALSE(Base64DecodeStrict(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace basalt
