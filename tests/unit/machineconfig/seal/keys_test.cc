#include "machineconfig/seal/keys.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/seal/bech32.h"
#include "tests/unit/machineconfig/seal/testing.h"

namespace basalt::seal {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Bech32, ReadsAndWritesTheVectorsOfBip173) {
  for (const std::string& good :
       {std::string("A12UEL5L"), std::string("a12uel5l"),
        std::string("an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedchar"
                    "actersbio1tt5tgs"),
        "11" + std::string(82, 'q') + "c8247j", std::string("?1ezyfcl")}) {
    auto decoded = Bech32Decode(good);
    ASSERT_TRUE(decoded.has_value()) << good;
    EXPECT_EQ(Bech32Encode(decoded->prefix, decoded->bytes), absl::AsciiStrToLower(good));
  }
  for (const char* bad : {"", "1nwldj5", "pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3",
                          "A1G7SGD8", "10a06t8", "1qzzfhee", "a12UEL5L", "A12UEl5L", "a12uel5m"}) {
    EXPECT_FALSE(Bech32Decode(bad).has_value()) << bad;
  }
}

TEST(Bech32, PaddingIsZeroAndShorterThanACharacter) {
  // All three have a right checksum; the bits beyond the last whole byte must be zero and fewer
  // than a character has.
  EXPECT_EQ(Bech32Encode("age", "a"), "age1vyczj9y0");
  EXPECT_TRUE(Bech32Decode("age1vyczj9y0").has_value());
  EXPECT_FALSE(Bech32Decode("age1v995xsea").has_value());
  EXPECT_FALSE(Bech32Decode("age1vyqf8fs90").has_value());
  EXPECT_FALSE(Bech32Decode(std::string(9 << 10, 'a')).has_value());
}

TEST(Keys, AreThoseOfTheSpecification) {
  auto identity = Identity::Parse(kSpecIdentity);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->raw(), std::string(32, 'B'));
  EXPECT_EQ(identity->recipient().Text(), kSpecRecipient);
  EXPECT_EQ(identity->Text().view(), kSpecIdentity);
  EXPECT_EQ(*Recipient::Parse(kSpecRecipient), identity->recipient());
}

TEST(Keys, RecipientThatIsNoneIsRefusedByName) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "bad-recipient"},
      {"age1", "bad-recipient"},
      {std::string(kSpecRecipient) + "q", "bad-recipient"},
      {absl::AsciiStrToUpper(kSpecRecipient), "bad-recipient"},
      {Bech32Encode("age", std::string(31, 'x')), "bad-recipient"},
      {Bech32Encode("age", std::string(33, 'x')), "bad-recipient"},
      {Bech32Encode("age1pq", std::string(32, 'x')), "unsupported-recipient"},
      {Bech32Encode("age1yubikey", std::string(33, 'x')), "unsupported-recipient"},
      {Bech32Encode("age", std::string(32, '\0')), "weak-recipient"},
      {Bech32Encode("age", Hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157")),
       "weak-recipient"},
      {std::string(kSpecIdentity), "bad-recipient"},
  };
  for (const auto& [text, reason] : cases) {
    absl::Status status = Recipient::Parse(text).status();
    EXPECT_EQ(api::Reason(status), reason) << text;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("AGE-SECRET"))) << text;
  }
}

TEST(Keys, IdentityThatIsNoneIsRefusedAndNeverRepeated) {
  std::string damaged(kSpecIdentity);
  damaged.back() = 'Q';
  const std::pair<std::string, const char*> cases[] = {
      {damaged, "bad-identity"},
      {absl::AsciiStrToLower(kSpecIdentity), "bad-identity"},
      {std::string(kSpecRecipient), "bad-identity"},
      {absl::AsciiStrToUpper(Bech32Encode("age-secret-key-", "short")), "bad-identity"},
      {absl::AsciiStrToUpper(Bech32Encode("age-plugin-yubikey-", "short")), "unsupported-identity"},
      {"age-encryption.org/v1", "unsupported-identity"},
      {"-----BEGIN AGE ENCRYPTED FILE-----", "unsupported-identity"},
  };
  for (const auto& [text, reason] : cases) {
    absl::Status status = ParseIdentities("# mine\n\n" + text + "\n", "keys/secrets.key").status();
    EXPECT_EQ(api::Reason(status), reason) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("keys/secrets.key:3: "));
    EXPECT_THAT(absl::StrCat(status.message(), api::Hint(status)), Not(HasSubstr("GFPYYSJZ")));
  }
}

TEST(Keys, FilesHoldOneALineWithComments) {
  auto identities =
      ParseIdentities(absl::StrCat("# created: 2026\r\n# public key: ", kSpecRecipient, "\n",
                                   kSpecIdentity, "\r\n"),
                      "f");
  ASSERT_TRUE(identities.ok()) << identities.status();
  ASSERT_EQ(identities->size(), 1u);
  auto recipients = ParseRecipients(
      absl::StrCat(kSpecRecipient, "\n\n# another\n", MakeIdentity('a').recipient().Text()), "f");
  ASSERT_TRUE(recipients.ok()) << recipients.status();
  EXPECT_EQ(recipients->size(), 2u);
  EXPECT_EQ(api::Reason(ParseRecipients("# none\n", "f").status()), "no-recipients");
  EXPECT_EQ(api::Reason(ParseIdentities("", "f").status()), "no-identities");
}

TEST(Keys, WithoutRandomnessThereIsNoIdentity) {
  auto none = [](uint8_t*, size_t) { return false; };
  EXPECT_EQ(api::Reason(Identity::Generate(none).status()), "no-randomness");
}

TEST(SecretBytesTest, MovedFromHoldsNothingAndPrefixIsForgotten) {
  SecretBytes a("line\nvalue");
  SecretBytes b = std::move(a);
  EXPECT_EQ(a.size(), 0u);  // NOLINT(bugprone-use-after-move): what is tested
  b.RemovePrefix(5);
  EXPECT_EQ(b.view(), "value");
  // The bytes behind the end were overwritten, not left over.
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(b.data()), 5), "value");
}

}  // namespace
}  // namespace basalt::seal
