#include "machineconfig/seal/age.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/seal/header.h"
#include "machineconfig/seal/limits.h"
#include "tests/unit/machineconfig/seal/testing.h"

namespace basalt::seal {
namespace {

using ::testing::HasSubstr;

std::string Sealed(absl::string_view text, std::vector<Recipient> to) {
  Scripted random;
  auto sealed = Encrypt(text, to, random);
  EXPECT_TRUE(sealed.ok()) << sealed.status();
  return sealed.value_or("");
}

std::vector<Identity> Mine(char seed = 'm') {
  std::vector<Identity> out;
  out.push_back(MakeIdentity(seed));
  return out;
}

std::string ReasonOf(const std::string& file) {
  return api::Reason(Decrypt(file, Mine()).status());
}

TEST(Age, RoundTripsAroundEveryChunkBoundary) {
  constexpr size_t kChunk = 64 << 10;
  for (size_t size : {size_t{0}, size_t{1}, kChunk - 1, kChunk, kChunk + 1, 2 * kChunk,
                      2 * kChunk + 1, kMaxPlaintext}) {
    const std::string text(size, 's');
    auto opened = Decrypt(Sealed(text, {Mine()[0].recipient()}), Mine());
    ASSERT_TRUE(opened.ok()) << size << ": " << opened.status();
    EXPECT_EQ(opened->view(), text);
  }
}

TEST(Age, EachOfSeveralRecipientsOpensItAndNobodyElse) {
  const std::string file =
      Sealed("token", {MakeIdentity('a').recipient(), MakeIdentity('b').recipient(),
                       MakeIdentity('c').recipient()});
  for (char seed : {'a', 'b', 'c'}) {
    EXPECT_EQ(Decrypt(file, Mine(seed)).value().view(), "token") << seed;
  }
  absl::Status other = Decrypt(file, Mine('d')).status();
  EXPECT_EQ(api::Reason(other), "no-matching-identity");
  EXPECT_THAT(std::string(other.message()), HasSubstr("sealed to: 3"));
  EXPECT_EQ(api::Reason(Decrypt(file, {}).status()), "no-matching-identity");
}

TEST(Age, DrawsFreshRandomBytesForEverythingThatMustNotRepeat) {
  Scripted random;
  ASSERT_TRUE(
      Encrypt("x", {MakeIdentity('a').recipient(), MakeIdentity('b').recipient()}, random).ok());
  EXPECT_EQ(random.drawn(), 16u + 2 * 32 + 16);
}

TEST(Age, FailsWithoutRandomnessWheneverItEnds) {
  for (size_t draws = 0; draws < 3; ++draws) {
    size_t left = draws;
    auto ends = [&left](uint8_t* out, size_t size) {
      std::fill(out, out + size, 'r');
      return left-- > 0;
    };
    EXPECT_EQ(api::Reason(Encrypt("x", {MakeIdentity('a').recipient()}, ends).status()),
              "no-randomness")
        << draws;
  }
}

TEST(Age, ChangedByteAnywhereIsRefused) {
  const std::string file = Sealed("a secret of some length", {Mine()[0].recipient()});
  for (size_t i = 0; i < file.size(); ++i) {
    for (int bit : {0, 5, 7}) {
      std::string changed = file;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      EXPECT_FALSE(Decrypt(changed, Mine()).ok()) << "byte " << i << " bit " << bit;
    }
  }
}

TEST(Age, CutAnywhereOrLengthenedIsRefused) {
  const std::string file = Sealed(std::string(70000, 'x'), {Mine()[0].recipient()});
  for (size_t size = 0; size < file.size(); size += size < 300 ? 1 : 997) {
    EXPECT_FALSE(Decrypt(file.substr(0, size), Mine()).ok()) << size;
  }
  EXPECT_EQ(ReasonOf(file + "x"), "bad-age-payload");
  EXPECT_EQ(ReasonOf(file.substr(0, file.size() - 1)), "bad-age-payload");
}

TEST(Age, StanzasOfOtherKindsArePassedOver) {
  // That such a file opens is shown by the published vector x25519_grease; what is added after the
  // sealing is read the same way, and refused by the MAC.
  const std::string file = Sealed("token", {Mine()[0].recipient()});
  const std::string added =
      absl::StrReplaceAll(file, {{"/v1\n", "/v1\n-> x-grease some thing\nYQ\n"}});
  auto header = ParseHeader(added);
  ASSERT_TRUE(header.ok()) << header.status();
  ASSERT_EQ(header->stanzas.size(), 2u);
  EXPECT_EQ(header->stanzas[0], (Stanza{{"x-grease", "some", "thing"}, "a"}));
  EXPECT_EQ(ReasonOf(added), "bad-age-mac");
}

TEST(Age, StanzaOfOursThatBreaksTheRulesRefusesTheWhole) {
  const std::string file = Sealed("token", {Mine()[0].recipient()});
  const size_t line = file.find("-> X25519 ") + 10, end = file.find('\n', line);
  const std::string share = file.substr(line, end - line);
  const std::pair<std::string, std::string> cases[] = {
      {"share", "-> X25519 " + share + " more"},
      {"none", "-> X25519"},
      {"short", "-> X25519 " + share.substr(4)},
      {"zero", "-> X25519 " + std::string(43, 'A')},
      {"padded", "-> X25519 " + share + "="},
      {"spaces", "-> X25519  " + share},
      {"mixed", "-> scrypt c2FsdHNhbHRzYWx0c2FsdA 10\nYQ\n-> X25519 " + share},
  };
  for (const auto& [what, with] : cases) {
    std::string changed = file;
    changed.replace(line - 10, end - line + 10, with);
    EXPECT_EQ(ReasonOf(changed), "bad-age-header") << what;
  }
}

TEST(Age, OtherVersionsAndOtherFilesAreNamed) {
  const std::string file = Sealed("token", {Mine()[0].recipient()});
  EXPECT_EQ(ReasonOf(absl::StrReplaceAll(file, {{"/v1\n", "/v2\n"}})), "unknown-age-version");
  EXPECT_EQ(ReasonOf("hello\n"), "bad-age-header");
  EXPECT_EQ(ReasonOf(""), "bad-age-header");
  EXPECT_EQ(ReasonOf(absl::StrReplaceAll(file, {{"/v1\n", "/v1\r\n"}})), "unknown-age-version");
}

TEST(Age, PassphraseFileIsRefusedByName) {
  absl::Status status =
      Decrypt(absl::StrCat("age-encryption.org/v1\n-> scrypt rF0/NwblUHHTpgQgRpe5CQ 10\n",
                           "gUjEymFKMVXQEKdMMHL24oYexjE3TIC0O0zGSqJ2aUY\n--- ",
                           std::string(43, 'A'), "\n", std::string(40, 'x')),
              Mine())
          .status();
  EXPECT_EQ(api::Reason(status), "no-matching-identity");
  EXPECT_THAT(std::string(status.message()), HasSubstr("passphrase"));
}

TEST(Age, LimitsHoldBothWays) {
  Scripted random;
  const Recipient me = Mine()[0].recipient();
  EXPECT_EQ(api::Reason(Encrypt(std::string(kMaxPlaintext + 1, 'x'), {me}, random).status()),
            "too-large");
  EXPECT_EQ(api::Reason(Encrypt("x", {}, random).status()), "no-recipients");
  std::vector<Recipient> many(kMaxStanzas, MakeIdentity('a').recipient());
  many.back() = me;
  EXPECT_EQ(Decrypt(Sealed("x", many), Mine()).value().view(), "x");
  many.push_back(me);
  EXPECT_EQ(api::Reason(Encrypt("x", many, random).status()), "too-many-recipients");

  std::string stanzas;
  for (size_t i = 0; i <= kMaxStanzas; ++i) absl::StrAppend(&stanzas, "-> a\n\n");
  EXPECT_EQ(ReasonOf(absl::StrCat("age-encryption.org/v1\n", stanzas)), "too-large");
  EXPECT_EQ(
      ReasonOf(absl::StrCat("age-encryption.org/v1\n-> a ", std::string(kMaxHeader, 'b'), "\n")),
      "too-large");
  const std::string file = Sealed("x", {me});
  EXPECT_EQ(ReasonOf(file + std::string(kMaxPlaintext + 200, 'x')), "too-large");
}

TEST(Age, HeaderIsWrittenAsItIsRead) {
  for (size_t size : {0, 1, 47, 48, 49, 95, 96, 200}) {
    const std::vector<Stanza> stanzas = {{{"a", "b"}, std::string(size, 'x')}, {{"c"}, ""}};
    const std::string text = HeaderText(stanzas);
    auto header = ParseHeader(absl::StrCat(text, " ", std::string(43, 'A'), "\n"));
    ASSERT_TRUE(header.ok()) << size << header.status();
    EXPECT_EQ(header->stanzas, stanzas);
    EXPECT_EQ(header->authentic, text.size());
    EXPECT_EQ(header->size, text.size() + 45);
  }
}

}  // namespace
}  // namespace basalt::seal
