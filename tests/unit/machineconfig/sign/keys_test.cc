#include "machineconfig/sign/keys.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/sign/ed25519_point.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

std::string Hex(absl::string_view hex) { return absl::HexStringToBytes(hex); }

// RFC 8032 section 7.1, test 1.
const char kRfcKey[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const char kRfcSignature[] =
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b4"
    "6bd25bf5f0595bbe24655141438e7a100b";

// S + L, the other encoding of S that a lax verifier accepts.
std::string AddOrder(std::string signature) {
  const std::string order = Hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  int carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    int sum = static_cast<uint8_t>(signature[32 + i]) + static_cast<uint8_t>(order[i]) + carry;
    signature[32 + i] = static_cast<char>(sum);
    carry = sum >> 8;
  }
  return signature;
}

TEST(PublicKey, VerifiesTheVectorOfRfc8032) {
  auto key = PublicKey::FromEd25519(Hex(kRfcKey));
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_TRUE(key->Verify("", Hex(kRfcSignature)));
  EXPECT_FALSE(key->Verify("x", Hex(kRfcSignature)));
}

TEST(PublicKey, S9_NonCanonicalSIsRefused) {
  auto key = PublicKey::FromEd25519(Hex(kRfcKey));
  ASSERT_TRUE(key.ok());
  EXPECT_FALSE(key->Verify("", AddOrder(Hex(kRfcSignature))));
  for (int i = 0; i < 20; ++i) {
    std::string message = absl::StrCat("message ", i);
    std::string signature = Key("alice").Sign(message);
    EXPECT_TRUE(Key("alice").public_key().Verify(message, signature));
    EXPECT_FALSE(Key("alice").public_key().Verify(message, AddOrder(signature)));
  }
}

TEST(PublicKey, S9_SignatureOfWrongLengthIsRefused) {
  std::string signature = Key("alice").Sign("m");
  EXPECT_FALSE(Key("alice").public_key().Verify("m", ""));
  EXPECT_FALSE(Key("alice").public_key().Verify("m", signature.substr(0, 63)));
  EXPECT_FALSE(Key("alice").public_key().Verify("m", signature + '\0'));
  EXPECT_FALSE(PublicKey().Verify("m", signature));
}

TEST(PublicKey, S9_SmallOrderPointsAreRefused) {
  for (const char* y : {
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0100000000000000000000000000000000000000000000000000000000000000",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
       }) {
    std::string raw = Hex(y);
    EXPECT_THAT(PublicKey::FromEd25519(raw).status(), HasReason("weak-key")) << y;
    raw[31] = static_cast<char>(raw[31] | 0x80);  // the other sign of x
    EXPECT_THAT(PublicKey::FromEd25519(raw).status(), HasReason("weak-key")) << y;
  }
}

TEST(PublicKey, S9_NonCanonicalPointsAreRefused) {
  // p, p+1 and 2^255-1: the y of points that have another, canonical encoding.
  for (const char* y : {
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
       }) {
    EXPECT_EQ(CheckEd25519Point(Hex(y)), PointCheck::kNonCanonical) << y;
    EXPECT_THAT(PublicKey::FromEd25519(Hex(y)).status(), HasReason("bad-key")) << y;
  }
}

TEST(PublicKey, S9_BytesOffTheCurveAreRefused) {
  // y = 2 and y = 7 have no x; about half of all byte strings have none.
  for (char y : {2, 7}) {
    std::string raw(32, '\0');
    raw[0] = y;
    EXPECT_EQ(CheckEd25519Point(raw), PointCheck::kNotOnCurve) << int{y};
    EXPECT_THAT(PublicKey::FromEd25519(raw).status(), HasReason("bad-key"));
  }
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(CheckEd25519Point(PrivateKey::GenerateEd25519().public_key().raw()),
              PointCheck::kGood);
  }
}

TEST(PublicKey, AllTextsOfAKeyAreOneKey) {
  const PublicKey& key = Key("alice").public_key();
  std::string blob = std::string("\0\0\0\x0bssh-ed25519\0\0\0\x20", 19) + key.raw();
  std::string ssh = "ssh-ed25519 " + Base64Encode(blob) + " alice@laptop with words";
  std::string minisign = Base64Encode("Ed12345678" + key.raw());
  for (const std::string& text :
       {key.Pem(), "\n" + absl::StrReplaceAll(key.Pem(), {{"\n", "\r\n"}}), ssh, minisign,
        "untrusted comment: minisign public key 1\n" + minisign + "\n"}) {
    auto parsed = PublicKey::Parse(text);
    ASSERT_TRUE(parsed.ok()) << parsed.status() << "\n" << text;
    EXPECT_EQ(parsed->id(), key.id());
    EXPECT_EQ(parsed->raw(), key.raw());
    EXPECT_EQ(parsed->Pem(), key.Pem());
  }
}

TEST(PublicKey, ReadsAnOpenSshEcdsaLine) {
  const PublicKey& key = P256Key().public_key();
  std::string blob = std::string(
                         "\0\0\0\x13"
                         "ecdsa-sha2-nistp256\0\0\0\x08nistp256\0\0\0\x41",
                         39) +
                     key.raw();
  auto parsed = PublicKey::Parse("ecdsa-sha2-nistp256 " + Base64Encode(blob));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->id(), key.id());
}

TEST(PublicKey, S9_OtherAlgorithmsAreNamedAndRefused) {
  struct Case {
    const char* text;
    const char* reason;
    const char* says;
  };
  for (const Case& c : {
           Case{"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7", "unsupported-key", "ssh-rsa"},
           Case{"sk-ssh-ed25519@openssh.com AAAA", "bad-key", "damaged"},
           Case{"sk-ssh-ed25519-cert-v01@openssh.com AAAA", "unsupported-key", "cert-v01"},
           Case{"webauthn-sk-ecdsa-sha2-nistp256@openssh.com AAAA", "unsupported-key", "webauthn"},
           Case{"ecdsa-sha2-nistp384 AAAA", "unsupported-key", "nistp384"},
           Case{"", "bad-key", "empty"},
           Case{"hello", "bad-key", "known form"},
           Case{"ssh-ed25519 AAAA", "bad-key", "damaged"},
           Case{"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "bad-key", "DER"},
           Case{"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "bad-key",
                "private key"},
       }) {
    auto parsed = PublicKey::Parse(c.text);
    EXPECT_THAT(parsed.status(), HasReason(c.reason)) << c.text;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(c.says));
    EXPECT_THAT(api::Hint(parsed.status()), HasSubstr("Ed25519"));
  }
}

TEST(PublicKey, TwoKeysInOneTextAreRefused) {
  EXPECT_FALSE(
      PublicKey::Parse(Key("alice").public_key().Pem() + Key("bob").public_key().Pem()).ok());
}

TEST(PublicKey, S9_CompressedAndOffCurveP256PointsAreRefused) {
  std::string der = P256Key().public_key().spki_der();
  std::string off = der;
  off.back() = static_cast<char>(off.back() ^ 1);
  EXPECT_THAT(PublicKey::FromSpkiDer(off).status(), HasReason("bad-key"));
  std::string hybrid = der;
  hybrid[26] = static_cast<char>(6 + (der.back() & 1));
  EXPECT_FALSE(PublicKey::FromSpkiDer(hybrid).ok());
  std::string compressed =
      der.substr(0, 26) + static_cast<char>(2 + (der.back() & 1)) + der.substr(27, 32);
  compressed[1] = 0x39;
  compressed[24] = 0x22;
  EXPECT_THAT(PublicKey::FromSpkiDer(compressed).status(), HasReason("unsupported-key"));
  EXPECT_FALSE(PublicKey::FromSpkiDer(der + '\0').ok());
}

TEST(PublicKey, S9_EcdsaSignaturesMustBeStrictDer) {
  const PublicKey& key = P256Key().public_key();
  std::string good = P256Key().Sign("message");
  ASSERT_TRUE(key.Verify("message", good));
  EXPECT_FALSE(key.Verify("massage", good));
  EXPECT_FALSE(key.Verify("message", good + '\0'));
  // The outer length in BER's long form.
  EXPECT_FALSE(key.Verify("message", std::string("\x30\x81", 2) + good.substr(1)));
  // A needless zero before r.
  std::string padded = good;
  padded[1] = static_cast<char>(padded[1] + 1);
  padded[3] = static_cast<char>(padded[3] + 1);
  padded.insert(4, 1, '\0');
  EXPECT_FALSE(key.Verify("message", padded));
  // r = s = 0.
  EXPECT_FALSE(key.Verify("message", std::string("\x30\x06\x02\x01\x00\x02\x01\x00", 8)));
}

TEST(PublicKey, S9_AlgorithmsCannotBeSwapped) {
  EXPECT_FALSE(P256Key().public_key().Verify("m", Key("alice").Sign("m")));
  EXPECT_FALSE(Key("alice").public_key().Verify("m", P256Key().Sign("m")));
}

TEST(PrivateKey, RoundTripsThroughPem) {
  for (const PrivateKey* key : {&Key("alice"), &P256Key()}) {
    auto again = PrivateKey::FromPem(key->Pem());
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->public_key().id(), key->public_key().id());
    EXPECT_TRUE(key->public_key().Verify("m", again->Sign("m")));
  }
}

TEST(PrivateKey, EncryptedPemNeedsItsPassphrase) {
  std::string pem = Key("alice").Pem("correct horse");
  EXPECT_THAT(pem, HasSubstr("BEGIN ENCRYPTED PRIVATE KEY"));
  auto without = PrivateKey::FromPem(pem);
  EXPECT_THAT(without.status(), HasReason("passphrase-needed"));
  EXPECT_EQ(without.status().code(), absl::StatusCode::kUnauthenticated);
  auto wrong = PrivateKey::FromPem(pem, "battery staple");
  EXPECT_THAT(wrong.status(), HasReason("wrong-passphrase"));
  EXPECT_EQ(wrong.status().code(), absl::StatusCode::kPermissionDenied);
  auto right = PrivateKey::FromPem(pem, "correct horse");
  ASSERT_TRUE(right.ok()) << right.status();
  EXPECT_EQ(right->public_key().id(), Key("alice").public_key().id());
}

TEST(PrivateKey, DamagedPemIsRefused) {
  std::string pem = Key("alice").Pem();
  EXPECT_THAT(PrivateKey::FromPem("").status(), HasReason("bad-key"));
  EXPECT_THAT(PrivateKey::FromPem(pem.substr(0, 60)).status(), HasReason("bad-key"));
  EXPECT_THAT(PrivateKey::FromPem(Key("alice").public_key().Pem()).status(), HasReason("bad-key"));
  EXPECT_THAT(PrivateKey::FromPem(std::string(100 << 10, 'x')).status(), HasReason("bad-key"));
}

TEST(PrivateKey, AnAbsurdKeyDerivationIsRefusedBeforeItRuns) {
  // PBES2, PBKDF2 with 2^31-1 iterations: minutes, were they begun.
  const char pem[] =
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
      "MIGNMFkGCSqGSIb3DQEFDTBMMCsGCSqGSIb3DQEFDDAeBAhzYWx0c2FsdAIEf///\n"
      "/zAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQaWlpaWlpaWlpaWlpaWlpaQQw\n"
      "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj\n"
      "-----END ENCRYPTED PRIVATE KEY-----\n";
  auto key = PrivateKey::FromPem(pem, "x");
  EXPECT_THAT(key.status(), HasReason("bad-key"));
  EXPECT_THAT(std::string(key.status().message()), HasSubstr("absurd"));
}

}  // namespace
}  // namespace basalt::sign
