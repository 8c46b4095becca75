#include "machineconfig/sign/openssh_key.h"

#include <string>

#include "absl/strings/str_replace.h"
#include "tests/unit/machineconfig/sign/interop_testing.h"
#include "tests/unit/machineconfig/sign/schemes_testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

// Made by ssh-keygen for this test.
constexpr absl::string_view kEd25519 = R"(-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACCIrUHcgwpMOhP4oJAwny9dp7IfUV6OR6fdNCMK5KXTdQAAAJBUOKdjVDin
YwAAAAtzc2gtZWQyNTUxOQAAACCIrUHcgwpMOhP4oJAwny9dp7IfUV6OR6fdNCMK5KXTdQ
AAAEDCX304ucSNN8kSCfAR5vVjGADl3dcIKVbxstzqongcZoitQdyDCkw6E/igkDCfL12n
sh9RXo5Hp900IwrkpdN1AAAACmZvciBhIHRlc3QBAgM=
-----END OPENSSH PRIVATE KEY-----
)";
constexpr absl::string_view kP256 = R"(-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS
1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQQKaHOmPGKNrXBnfwlye+Mu22RXgCQb
JDIaM+N9n0dJ9QMVqHFXSL4VQSgpoqCkbeOEutr6vGx+deUV/TTLi0jbAAAAqEaDYI1Gg2
CNAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBApoc6Y8Yo2tcGd/
CXJ74y7bZFeAJBskMhoz432fR0n1AxWocVdIvhVBKCmioKRt44S62vq8bH515RX9NMuLSN
sAAAAhALADGFOlnDPoaEZd5HIcX0IpKFyTMmGhd1wqmHBKNm51AAAACmZvciBhIHRlc3QB
AgMEBQ==
-----END OPENSSH PRIVATE KEY-----
)";
constexpr absl::string_view kEncrypted = R"(-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABBaEiBbVa
cB6MZrPoe6MSiCAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAINKzZhB7K+T9J48E
Sk1Ryi1fpMKpFAQ07qHaxODrFjmPAAAAkPEwU5cIwZNL80lybIGS4JmK8SgZ2GZcWUdFEN
9h8YPq1/v9Q1yf0tMgRQlSCI+V8YI85bdQ6V1psD2zEavHNlDaE98uwxvS1XDnJl+FOqbL
R6XFZJc9HzNyR3B+m1PKoTqv4Jx+V1MZdRvoYb+t6/ghQWf8TGNGdKDiDErM+kcFD4omDP
Td7GCQneoBIaqKbQ==
-----END OPENSSH PRIVATE KEY-----
)";

std::string Decoded(absl::string_view text) {
  std::string body(text.substr(text.find('\n')));
  body = body.substr(0, body.find("-----"));
  return *Base64DecodeStrict(absl::StrReplaceAll(body, {{"\n", ""}}));
}

std::string Armored(absl::string_view blob) {
  return absl::StrCat("-----BEGIN OPENSSH PRIVATE KEY-----\n", Base64Encode(blob),
                      "\n-----END OPENSSH PRIVATE KEY-----\n");
}

TEST(OpenSshKey, BothAlgorithmsSign) {
  for (absl::string_view text : {kEd25519, kP256}) {
    auto key = ReadOpenSshKey(text);
    ASSERT_TRUE(key.ok()) << key.status();
    EXPECT_TRUE(key->public_key().Verify("m", key->Sign("m")));
    EXPECT_TRUE(LooksLikeOpenSshKey(text));
    EXPECT_THAT(ReadOpenSshKey(absl::StrReplaceAll(text, {{"\n", "\r\n"}})).status(),
                HasReason(""));
  }
  EXPECT_FALSE(LooksLikeOpenSshKey(Key("alice").Pem()));
}

TEST(OpenSshKey, AnEncryptedKeyIsRefusedWithTheWayThatWorks) {
  const absl::Status status = ReadOpenSshKey(kEncrypted).status();
  EXPECT_THAT(status, HasReason("unsupported-key"));
  EXPECT_THAT(api::Hint(status), HasSubstr("--key ssh-keygen:FILE"));
}

TEST(OpenSshKey, EveryPrefixIsRefused) {
  for (absl::string_view text : {kEd25519, kP256}) {
    const std::string blob = Decoded(text);
    ASSERT_TRUE(ReadOpenSshKey(Armored(blob)).ok());
    for (size_t size = 0; size < blob.size(); ++size) {
      EXPECT_FALSE(ReadOpenSshKey(Armored(blob.substr(0, size))).ok()) << size;
    }
    EXPECT_FALSE(ReadOpenSshKey(Armored(blob + "\1")).ok());
    EXPECT_FALSE(ReadOpenSshKey(text.substr(0, text.size() / 2)).ok());
  }
}

// The comment is all that may differ: the rest is the key, or is compared.
TEST(OpenSshKey, AFlippedBitGivesTheSameKeyOrNone) {
  for (absl::string_view text : {kEd25519, kP256}) {
    const std::string blob = Decoded(text);
    const Digest id = ReadOpenSshKey(text)->public_key().id();
    for (size_t i = 0; i < blob.size(); ++i) {
      std::string flipped = blob;
      flipped[i] = static_cast<char>(flipped[i] ^ 1);
      auto key = ReadOpenSshKey(Armored(flipped));
      EXPECT_TRUE(!key.ok() || key->public_key().id() == id) << i;
    }
  }
}

TEST_F(Interop, WeReadThePrivateKeysOfSshKeygen) {
  if (!Run("command -v ssh-keygen")) GTEST_SKIP() << "no ssh-keygen program";
  for (const char* type : {"-t ed25519", "-t ecdsa -b 256"}) {
    // Several: now and then a scalar is shorter, or needs a zero in front.
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(Run(absl::StrCat("rm -f id id.pub; ssh-keygen -q ", type, " -N '' -C '",
                                   std::string(static_cast<size_t>(i) * 3, 'c'), "' -f id")))
          << Read("out");
      auto key = ReadOpenSshKey(Read("id"));
      ASSERT_TRUE(key.ok()) << key.status();
      EXPECT_EQ(key->public_key().id(), PublicKey::Parse(Read("id.pub"))->id());
    }
  }
  ASSERT_TRUE(
      Run("ssh-keygen -q -t rsa -b 2048 -N '' -f rsa && ssh-keygen -q -t ecdsa -b 384 -N "
          "'' -f p384"))
      << Read("out");
  for (const char* file : {"rsa", "p384"}) {
    EXPECT_THAT(ReadOpenSshKey(Read(file)).status(), HasReason("unsupported-key"));
  }
}

}  // namespace
}  // namespace basalt::sign
