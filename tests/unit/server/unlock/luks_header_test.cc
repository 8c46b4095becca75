// The header of an encrypted partition: what is written is read, what is damaged is not believed.
#include "server/unlock/luks_header.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/unlock/layout.h"

namespace basalt::unlock {
namespace {

Header Empty() {
  auto header = MakeHeader({.uuid = "0f0f0f0f-1111-4222-8333-444444444444",
                            .label = "STATE",
                            .digest = std::string(32, 'd'),
                            .digest_salt = std::string(32, 's'),
                            .digest_iterations = 1000});
  EXPECT_TRUE(header.ok()) << header.status();
  return *std::move(header);
}

Kdf Fast() { return {.type = "pbkdf2", .iterations = 1000, .salt = std::string(32, 'k')}; }

std::string Render(const Header& header) {
  auto bytes = RenderHeader(header, std::string(128, 'r'));
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return *std::move(bytes);
}

TEST(LuksHeaderTest, WhatIsWrittenIsRead) {
  auto header = WithKey(Empty(), 0, Fast(), {.type = kNodeToken, .fields = {{"salt", "c2FsdA=="}}});
  ASSERT_TRUE(header.ok()) << header.status();
  const std::string bytes = Render(*header);
  ASSERT_EQ(bytes.size(), kBothHeaders);
  auto read = ParseHeader(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->sequence, 1u);
  EXPECT_TRUE(read->both);
  EXPECT_EQ(read->uuid, header->uuid);
  EXPECT_EQ(read->label, "STATE");
  EXPECT_EQ(read->data_offset, kDataOffset);
  EXPECT_TRUE(read->discards);
  ASSERT_NE(read->SlotOf(kNodeToken), nullptr);
  EXPECT_EQ(read->SlotOf(kNodeToken)->kdf, Fast());
  EXPECT_EQ(read->SlotOf(kNodeToken)->offset, AreaOf(0));
  EXPECT_EQ(read->tokens.at(0).fields.at("salt"), "c2FsdA==");
  EXPECT_EQ(read->SlotOf(kTpm2Token), nullptr);
}

TEST(LuksHeaderTest, OneWholeCopyIsEnoughAndTheNewerOneCounts) {
  const std::string old_bytes = Render(Empty());
  Header next = *ParseHeader(old_bytes);
  next = *WithKey(next, 0, Fast(), {.type = kStateToken});
  const std::string new_bytes = Render(next);
  // The power went between the two copies.
  const std::string torn = new_bytes.substr(0, kHeaderSize) + old_bytes.substr(kHeaderSize);
  auto read = ParseHeader(torn);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->sequence, 2u);
  EXPECT_FALSE(read->both);
  EXPECT_NE(read->SlotOf(kStateToken), nullptr);
  // Either is lost: the other one opens.
  for (size_t lost : {size_t{0}, kHeaderSize}) {
    for (size_t at : {size_t{0}, size_t{100}, size_t{5000}, kHeaderSize - 1}) {
      std::string bytes = new_bytes;
      bytes[lost + at] = static_cast<char>(bytes[lost + at] ^ 1);
      read = ParseHeader(bytes);
      ASSERT_TRUE(read.ok()) << read.status() << " " << lost + at;
      EXPECT_NE(read->SlotOf(kStateToken), nullptr);
    }
  }
  std::string both = new_bytes;
  both[5000] = both[kHeaderSize + 5000] = '!';
  EXPECT_TRUE(IsDataLoss(ParseHeader(both).status()));
}

TEST(LuksHeaderTest, WhatIsNoHeaderIsNotFound) {
  EXPECT_TRUE(IsNotFound(ParseHeader("").status()));
  EXPECT_TRUE(IsNotFound(ParseHeader(std::string(kBothHeaders, '\0')).status()));
  EXPECT_TRUE(IsNotFound(ParseHeader(Render(Empty()).substr(1)).status()));
}

TEST(LuksHeaderTest, AnotherKeyOfOneKindTakesThePlaceOfTheOldOne) {
  Header header = *WithKey(Empty(), 0, Fast(), {.type = kStateToken});
  header = *WithKey(header, 1, Fast(), {.type = kPassphraseToken});
  EXPECT_EQ(*FreeKeyslot(header), 2);
  header = *WithKey(header, 2, Fast(), {.type = kPassphraseToken});
  EXPECT_EQ(header.keyslots.size(), 2u);
  ASSERT_NE(header.SlotOf(kPassphraseToken), nullptr);
  EXPECT_EQ(header.SlotOf(kPassphraseToken)->offset, AreaOf(2));
  EXPECT_EQ(*FreeKeyslot(header), 1);
  header = *WithoutKey(header, kPassphraseToken);
  EXPECT_EQ(header.keyslots.size(), 1u);
  EXPECT_EQ(header.SlotOf(kPassphraseToken), nullptr);
  EXPECT_NE(header.SlotOf(kStateToken), nullptr);
}

TEST(LuksHeaderTest, WhatAnotherProgramWroteStays) {
  Header header = *WithKey(Empty(), 0, Fast(), {.type = kStateToken});
  header.json = absl::StrReplaceAll(
      header.json, {{"\"tokens\":{",
                     "\"tokens\":{\"7\":{\"type\":\"somebody\",\"keyslots\":[\"5\"],"
                     "\"x\":[1,{\"y\":2}]},"}});
  auto read = ParseHeader(Render(header));
  ASSERT_TRUE(read.ok()) << read.status();
  auto changed = WithKey(*read, 1, Fast(), {.type = kNodeToken});
  ASSERT_TRUE(changed.ok());
  EXPECT_NE(changed->json.find("\"x\":[1,{\"y\":2}]"), std::string::npos);
}

TEST(LuksHeaderTest, AKindThatIsNotOursIsSaidAndLeftAlone) {
  const std::string json = Empty().json;
  for (const auto& [from, to] :
       {std::pair{"aes-xts-plain64", "serpent-xts-plain64"},
        std::pair{"\"iv_tweak\":\"0\"", "\"iv_tweak\":\"8\""},
        std::pair{"\"sector_size\":512", "\"sector_size\":1024"}, std::pair{"16777216", "8388608"},
        std::pair{"\"hash\":\"sha256\"", "\"hash\":\"sha1\""},
        std::pair{"\"size\":\"dynamic\"", "\"size\":\"4096\""}}) {
    Header header = Empty();
    header.json = absl::StrReplaceAll(json, {{from, to}});
    ASSERT_NE(header.json, json) << from;
    EXPECT_TRUE(IsUnimplemented(ParseHeader(Render(header)).status())) << to;
  }
}

TEST(LuksHeaderTest, AKeyslotThatAsksForAbsurdWorkIsNotUsed) {
  for (const Kdf& kdf :
       {Kdf{.type = "argon2id",
       .iterations = 4,
       .memory = 1U << 31,
       .lanes = 1,
       .salt = std::string(32, 'k')},
        Kdf{.type = "argon2id",
        .iterations = 1U << 30,
        .memory = 65536,
        .lanes = 1,
        .salt = std::string(32, 'k')},
        Kdf{.type = "pbkdf2", .iterations = 1U << 31, .salt = std::string(32, 'k')},
        Kdf{.type = "pbkdf2", .iterations = 1, .salt = std::string(32, 'k')},
        Kdf{.type = "scrypt", .iterations = 1000, .salt = std::string(32, 'k')}}) {
    auto header = WithKey(Empty(), 0, kdf, {.type = kStateToken});
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->SlotOf(kStateToken), nullptr) << kdf.type << kdf.iterations;
  }
}

TEST(LuksHeaderTest, NestedAndOversizedTextIsRefused) {
  Header header = Empty();
  header.json = absl::StrCat("{\"a\":", std::string(2000, '['), std::string(2000, ']'), "}");
  EXPECT_TRUE(IsDataLoss(ParseHeader(Render(header)).status()));
  header.json = "[]";
  EXPECT_TRUE(IsDataLoss(ParseHeader(Render(header)).status()));
  header.json = std::string(kHeaderSize, ' ');
  EXPECT_TRUE(IsResourceExhausted(RenderHeader(header, std::string(128, 'r')).status()));
  EXPECT_TRUE(IsResourceExhausted(
      WithKey(Empty(), 0, Fast(), {.type = kNodeToken, .fields = {{"x", std::string(20000, 'x')}}})
          .status()));
}

TEST(LuksHeaderTest, APersonReadsWhatOpensIt) {
  EXPECT_EQ(KeyText(Empty()), "");
  Header header = *WithKey(Empty(), 0, Fast(), {.type = kTpm2Token, .fields = {{"pcrs", "7+15"}}});
  EXPECT_EQ(KeyText(*WithKey(header, 1, Fast(), {.type = kPassphraseToken})), "tpm2 (PCR 7+15)");
  header = *WithKey(Empty(), 0, Fast(),
                    {.type = kTpm2Token, .fields = {{"pcrs", "7+15"}, {"signed-pcrs", "11"}}});
  EXPECT_EQ(KeyText(header), "tpm2 (PCR 7+15, signed PCR 11)");
}

}  // namespace
}  // namespace basalt::unlock
