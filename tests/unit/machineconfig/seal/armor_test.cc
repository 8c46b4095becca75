#include "machineconfig/seal/armor.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/seal/limits.h"
#include "tests/unit/machineconfig/seal/testing.h"

namespace basalt::seal {
namespace {

TEST(Armor, RoundTripsEveryLengthAroundALine) {
  for (size_t size = 0; size < 150; ++size) {
    const std::string bytes(size, '\xa5');
    const std::string text = Armor(bytes);
    auto back = Dearmor(text);
    ASSERT_TRUE(back.ok()) << size << back.status();
    EXPECT_EQ(*back, bytes);
    EXPECT_EQ(Dearmor(absl::StrReplaceAll(text, {{"\n", "\r\n"}})).value(), bytes);
    EXPECT_EQ(Dearmor(absl::StrCat(" \n\t\n", text, "\n \n")).value(), bytes);
  }
}

TEST(Armor, OneCiphertextHasOneText) {
  const std::string text = Armor(std::string(100, 'x'));
  const size_t second = text.find('\n', 40) + 1;
  std::vector<std::string> bad = {
      "",
      text + "x",
      "x" + text,
      "x\n" + text,
      " " + text,
      text.substr(0, text.size() - 10),
      text.substr(0, text.find("-----END")),
      absl::StrReplaceAll(text, {{"BEGIN", "BEGIN "}}),
      absl::StrReplaceAll(text, {{"AGE", "PGP"}}),
      absl::StrReplaceAll(text, {{"==", ""}}),
      text + text,
  };
  std::string joined = text;
  joined.erase(second - 1, 1);  // two lines become one
  bad.push_back(joined);
  std::string spaced = text;
  spaced.insert(second, " ");
  bad.push_back(spaced);
  std::string empty_line = text;
  empty_line.insert(second, "\n");
  bad.push_back(empty_line);
  std::string stray = text;
  stray[text.find("==") - 1] = 'B';  // bits that no byte has
  bad.push_back(stray);
  for (const std::string& one : bad) {
    EXPECT_EQ(api::Reason(Dearmor(one).status()), "bad-armor") << one;
  }
}

TEST(Armor, LimitComesBeforeReading) {
  EXPECT_EQ(api::Reason(Dearmor(std::string(kMaxArmored + 1, ' ')).status()), "too-large");
  // Everything that may be sealed at all fits, with the largest header.
  EXPECT_LE(Armor(std::string(kMaxHeader + kMaxPlaintext + 200, 'x')).size(), kMaxArmored);
}

}  // namespace
}  // namespace basalt::seal
