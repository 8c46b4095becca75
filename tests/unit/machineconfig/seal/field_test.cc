#include "machineconfig/seal/field.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/seal/age.h"
#include "machineconfig/seal/armor.h"
#include "machineconfig/seal/limits.h"
#include "tests/unit/machineconfig/seal/testing.h"

namespace basalt::seal {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const FieldContext kField{.cluster = "home", .name = "n1", .path = "k3s.token"};

std::vector<Identity> Mine() {
  std::vector<Identity> out;
  out.push_back(MakeIdentity('m'));
  return out;
}

std::string Sealed(const FieldContext& field, absl::string_view value) {
  Scripted random;
  return SealField(field, value, {Mine()[0].recipient()}, random).value();
}

std::string Raw(absl::string_view plaintext) {
  Scripted random;
  return Armor(Encrypt(plaintext, {Mine()[0].recipient()}, random).value());
}

TEST(Field, ValueComesBackByteForByte) {
  for (const std::string& value :
       {std::string("K10abc"), std::string(""), std::string("two\nlines\n"), std::string("\n"),
        std::string("a\0b", 3), std::string(100 << 10, 'x')}) {
    auto opened = OpenField(kField, Sealed(kField, value), Mine());
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(opened->view(), value);
  }
}

TEST(Field, WhatIsSealedBeginsWithItsContextLine) {
  auto raw = Decrypt(Dearmor(Sealed(kField, "K10abc")).value(), Mine());
  EXPECT_EQ(raw.value().view(), "basalt-seal/v1 home n1 k3s.token\nK10abc");
}

TEST(Field, MovedCiphertextIsAnErrorThatSaysWhatDiffers) {
  const std::string text = Sealed(kField, "K10abc");
  const std::pair<FieldContext, const char*> cases[] = {
      {{"lab", "n1", "k3s.token"}, "cluster home, and stands at cluster lab"},
      {{"home", "n2", "k3s.token"}, "node n1, and stands at node n2"},
      {{"home", "n1", "k3s.agentToken"}, "field k3s.token, and stands at field k3s.agentToken"},
      {{"home", "n2", "k3s.agentToken"}, "stands at node n2; for field k3s.token"},
  };
  for (const auto& [field, expected] : cases) {
    absl::Status status = OpenField(field, text, Mine()).status();
    EXPECT_EQ(api::Reason(status), "wrong-seal-context");
    EXPECT_THAT(std::string(status.message()), HasSubstr(expected));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("K10abc")));
  }
}

TEST(Field, PathMayHoldSpacesAndBrackets) {
  const FieldContext field{"home", "n1", "k3s.registries.configs[my mirror:5000].password"};
  EXPECT_EQ(OpenField(field, Sealed(field, "p"), Mine()).value().view(), "p");
}

TEST(Field, WithoutContextLineNothingIsShown) {
  for (const char* text :
       {"K10secret", "", "basalt-seal/v1 home n1 k3s.token",
        "basalt-seal/v2 home n1 k3s.token\nK10secret", "basalt-seal/v1 home n1\nK10secret",
        "basalt-seal/v1  n1 k3s.token\nK10secret", "basalt-seal/v1 home n1 \nK10secret",
        "basalt-seal/v1 home n1 k3s\x1b[31m\nK10secret",
        " basalt-seal/v1 home n1 k3s.token\nK10secret"}) {
    absl::Status status = OpenField(kField, Raw(text), Mine()).status();
    EXPECT_EQ(api::Reason(status), "no-seal-context") << text;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
    EXPECT_THAT(api::Hint(status), HasSubstr("basalt-seal/v1 home n1 k3s.token"));
  }
  EXPECT_EQ(
      api::Reason(OpenField(kField,
                            Raw(absl::StrCat("basalt-seal/v1 a b ", std::string(2000, 'c'), "\n")),
                            Mine())
                      .status()),
      "no-seal-context");
}

TEST(Field, UnnamedContextCannotBeSealedFor) {
  Scripted random;
  for (const FieldContext& field :
       {FieldContext{"", "n1", "k3s.token"}, FieldContext{"home", "", "k3s.token"},
        FieldContext{"home", "n1", ""}, FieldContext{"ho me", "n1", "k3s.token"},
        FieldContext{"home", "n1", "k3s\ntoken"},
        FieldContext{"home", "n1", std::string(2000, 'x')}}) {
    EXPECT_EQ(api::Reason(SealField(field, "v", {Mine()[0].recipient()}, random).status()),
              "bad-seal-context");
  }
}

TEST(Field, ValueWhoseTextWouldNotFitIntoAConfigIsRefused) {
  Scripted random;
  EXPECT_EQ(
      api::Reason(
          SealField(kField, std::string(200 << 10, 'x'), {Mine()[0].recipient()}, random).status()),
      "too-large");
  EXPECT_EQ(api::Reason(SealField(kField, std::string(kMaxPlaintext + 1, 'x'),
                                  {Mine()[0].recipient()}, random)
                            .status()),
            "too-large");
}

}  // namespace
}  // namespace basalt::seal
