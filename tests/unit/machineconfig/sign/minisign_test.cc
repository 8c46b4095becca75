#include "machineconfig/sign/minisign.h"

#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "machineconfig/sign/detached.h"
#include "tests/unit/machineconfig/sign/schemes_testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

constexpr auto kConfig = v1::DOCUMENT_TYPE_MACHINE_CONFIG;
constexpr absl::string_view kPayload = "kind: MachineConfig\n";
constexpr char kComment[] = "basalt-machineconfig@v1";

absl::Status CheckText(const std::string& text) {
  v1::SignedDocument document = SignedBy({}, kPayload);
  AddMinisignText(document, text);
  return Verify(document, kConfig, Policy()).status();
}

TEST(Minisign, APrehashedSignatureWithTheWordOfItsTypeIsGood) {
  EXPECT_THAT(CheckText(MinisignOf(Key("alice"), kComment, kPayload).Text()), HasReason(""));
}

// BLAKE2b-512 of "abc": RFC 7693 appendix A.
TEST(Minisign, TheHashIsBlake2b512) {
  EXPECT_EQ(HexEncode(MinisignHash("abc")),
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
            "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
}

TEST(Minisign, S9_WhatIsNotExactlyOneIsRefused) {
  const MinisignParts good = MinisignOf(Key("alice"), kComment, kPayload);
  struct Case {
    const char* what;
    std::string text;
    const char* reason;
    const char* says;
  };
  std::vector<Case> cases;
  auto add = [&](const char* what, auto change, const char* reason, const char* says) {
    MinisignParts parts = good;
    change(parts);
    cases.push_back({what, parts.Text(), reason, says});
  };
  using P = MinisignParts;
  add(
      "the old form, rightly signed",
      [](P& p) {
        p.algorithm = "Ed";
        p.signature = Key("alice").Sign(kPayload);
        p.global = Key("alice").Sign(p.signature + p.comment);
      },
      "unknown-scheme", "old form");
  add(
      "algorithm", [](P& p) { p.algorithm = "EE"; }, "bad-signature", "unknown algorithm");
  add(
      "a signature without the hash under the new name",
      [](P& p) { p.signature = Key("alice").Sign(kPayload); }, "bad-signature",
      "no key of the trust policy");
  add(
      "comment of another type",
      [](P& p) { p = MinisignOf(Key("alice"), "basalt-action@v1", kPayload); }, "bad-signature",
      "`basalt-action@v1`, and must be `basalt-machineconfig@v1`");
  add(
      "comment as minisign makes it by itself",
      [](P& p) { p = MinisignOf(Key("alice"), "timestamp:1\tfile:n1.yaml\thashed", kPayload); },
      "bad-signature", "and must be `basalt-machineconfig@v1`");
  add(
      "a word more",
      [](P& p) { p = MinisignOf(Key("alice"), absl::StrCat(kComment, " "), kPayload); },
      "bad-signature", "must be");
  add(
      "comment not signed",
      [](P& p) { p.global = MinisignOf(Key("alice"), "basalt-action@v1", kPayload).global; },
      "bad-signature", "changed after key `alice` signed it");
  add(
      "comment signed by another",
      [](P& p) { p.global = Key("bob").Sign(p.signature + p.comment); }, "bad-signature",
      "changed after");
  add(
      "S of the first",
      [](P& p) {
        p.signature = WithOtherS(p.signature);
        p.global = Key("alice").Sign(p.signature + p.comment);
      },
      "bad-signature", "no key");
  add(
      "S of the second", [](P& p) { p.global = WithOtherS(p.global); }, "bad-signature", "changed");
  add(
      "a stranger's", [](P& p) { p = MinisignOf(Key("mallory"), kComment, kPayload); },
      "bad-signature", "no key");
  add(
      "other bytes", [](P& p) { p = MinisignOf(Key("alice"), kComment, "x"); }, "bad-signature",
      "no key");
  add(
      "short", [](P& p) { p.signature.pop_back(); }, "bad-signature", "line 2");
  add(
      "short second", [](P& p) { p.global.pop_back(); }, "bad-signature", "line 4");
  add(
      "control character", [](P& p) { p.untrusted = "\x1b[2J"; }, "bad-signature", "line 1");
  add(
      "long comment", [](P& p) { p.untrusted = std::string(1025, 'x'); }, "bad-signature",
      "line 1");
  const std::string text = good.Text();
  cases.push_back({"no end", text.substr(0, text.size() - 1), "bad-signature", "four lines"});
  cases.push_back({"an empty line", text + "\n", "bad-signature", "four lines"});
  cases.push_back({"twice", text + text, "bad-signature", "four lines"});
  cases.push_back(
      {"Windows", absl::StrReplaceAll(text, {{"\n", "\r\n"}}), "bad-signature", "line"});
  cases.push_back({"blank in front", " " + text, "bad-signature", "line 1"});
  cases.push_back({"blank at an end", absl::StrReplaceAll(text, {{"==\n", "== \n"}}),
                   "bad-signature", "line 4"});
  cases.push_back({"empty", "", "bad-signature", "four lines"});
  cases.push_back({"long", std::string(5000, 'x'), "bad-signature", "longer"});
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const absl::Status status = CheckText(c.text);
    EXPECT_THAT(status, HasReason(c.reason));
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.says));
  }
}

TEST(Minisign, AP256KeyOfThePolicyIsNoMinisignKey) {
  MinisignParts parts = MinisignOf(Key("alice"), kComment, kPayload);
  EXPECT_EQ(CheckMinisignSignature(*ParseMinisignSignature(parts.Text()), P256Key().public_key(),
                                   MinisignHash(kPayload)),
            MinisignCheck::kNotThisKey);
}

TEST(Minisign, AFileIsRecognisedByItsFirstLine) {
  const std::string text = MinisignOf(Key("alice"), kComment, kPayload).Text();
  for (const std::string& file :
       {text, text.substr(0, text.size() - 1), absl::StrReplaceAll(text, {{"\n", "\r\n"}})}) {
    auto read = ReadDetachedSignature(file);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->scheme(), v1::SIGNATURE_SCHEME_MINISIGN);
    EXPECT_EQ(read->signature(), text);
    EXPECT_EQ(DetachedText(*read), text);
  }
  EXPECT_THAT(ReadDetachedSignature("untrusted comment: x\n").status(), HasReason("bad-signature"));
  EXPECT_THAT(ReadDetachedSignature("").status(), HasReason("unknown-scheme"));
}

}  // namespace
}  // namespace basalt::sign
