// What comes from outside and means harm. Limits are counts, so these tests count, never time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/text_check.h"
#include "machineconfig/yaml/tree.h"

namespace basalt::yaml {
namespace {

std::string FirstReason(absl::string_view text) {
  std::vector<api::Violation> errors;
  ParseTree(text, "f", errors);
  return errors.empty() ? "" : errors[0].reason;
}

std::string Repeat(absl::string_view piece, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) absl::StrAppend(&out, piece);
  return out;
}

TEST(Hostile, P1_TooManyBytesAreRefusedBeforeParsing) {
  EXPECT_EQ(FirstReason(std::string(kMaxBytes + 1, ',')), "too-large");
  EXPECT_EQ(FirstReason(std::string(64 << 20, 'a')), "too-large");
  EXPECT_EQ(FirstReason(absl::StrCat("a: b\n#", std::string(kMaxBytes - 6, 'x'))), "");
}

TEST(Hostile, P1_NestingEndsAtTheLimit) {
  for (absl::string_view piece : {"[", "{a: ", "- ", "? ", "[{a: "}) {
    // An unclosed bracket may be found before the depth is.
    std::vector<api::Violation> errors;
    EXPECT_TRUE(ParseTree(Repeat(piece, 100000), "f", errors).empty()) << piece;
    EXPECT_EQ(errors.size(), 1u) << piece;
  }
  EXPECT_EQ(FirstReason(absl::StrCat(Repeat("[", kMaxDepth), Repeat("]", kMaxDepth))), "");
  EXPECT_EQ(FirstReason(absl::StrCat(Repeat("[", kMaxDepth + 1), Repeat("]", kMaxDepth + 1))),
            "too-deep");
}

TEST(Hostile, P1_NodesEndAtTheLimit) {
  const std::string many = absl::StrCat("[", Repeat("a,", kMaxNodes), "]");
  EXPECT_EQ(FirstReason(many), "too-many-nodes");
  std::string keys;
  for (int i = 0; i < 60000; ++i) absl::StrAppend(&keys, "k", i, ": 1\n");
  EXPECT_EQ(FirstReason(keys), "too-many-nodes");
  EXPECT_EQ(FirstReason(absl::StrCat("[", Repeat("a,", kMaxNodes - 1), "]")), "");
}

TEST(Hostile, P1_TheParserIsCutOffBeforeItHoardsTokens) {
  for (absl::string_view piece : {"[", "[[{", "{}", "[],", "a,"}) {
    std::vector<api::Violation> errors;
    const std::string text = absl::StrCat("[", Repeat(piece, (kMaxBytes - 1) / piece.size()));
    EXPECT_TRUE(ParseTree(text, "f", errors).empty());
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].reason, "too-many-nodes") << piece;
    EXPECT_NE(errors[0].message.find("brackets"), std::string::npos) << piece;
  }
}

TEST(Hostile, P1_OneScalarEndsAtTheLimit) {
  EXPECT_EQ(FirstReason(absl::StrCat("a: ", std::string(kMaxScalar, 'x'))), "");
  EXPECT_EQ(FirstReason(absl::StrCat("a: ", std::string(kMaxScalar + 1, 'x'))), "scalar-too-long");
}

TEST(Hostile, P1_AliasesAreNeverFollowed) {
  EXPECT_EQ(FirstReason("&a [*a]"), "anchor");
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    absl::StrAppend(&bomb, "a", i, ": &a", i, " [", Repeat(absl::StrCat("*a", i - 1, ","), 9),
                    "]\n");
  }
  std::vector<api::Violation> errors;
  const Tree tree = ParseTree(bomb, "f", errors);
  EXPECT_FALSE(errors.empty());
  EXPECT_LT(tree.nodes.size(), 200u);
}

TEST(Hostile, P1_ALongKeyDoesNotMultiplyIntoPaths) {
  const std::string key(200 << 10, 'k');
  std::string text = absl::StrCat("k3s:\n  config:\n    ? ", key, "\n    : [");
  for (int i = 0; i < 40000; ++i) text += "a,";
  text += "]\n";
  v1::MachineConfig config;
  const auto result = Decode(text, "f", config);
  size_t bytes = 0;
  for (const auto& [path, position] : result.source) bytes += path.size();
  EXPECT_LT(bytes, size_t{40000} * 256);
}

TEST(Hostile, P1_ALoneCommaEnds) {
  // yaml-cpp's LoadAll loops for ever on it.
  EXPECT_NE(FirstReason(","), "");
  EXPECT_NE(FirstReason(", a: 1"), "");
}

TEST(Hostile, P2_BytesThatNobodySeesAreRefused) {
  EXPECT_EQ(FirstReason("\xEF\xBB\xBFkind: x\n"), "byte-order-mark");
  EXPECT_EQ(FirstReason(absl::string_view("\xFF\xFEk\0i\0", 6)), "byte-order-mark");
  EXPECT_EQ(FirstReason("kind: x\r\n"), "carriage-return");
  EXPECT_EQ(FirstReason(absl::string_view("kind: a\0b\n", 10)), "control-character");
  EXPECT_EQ(FirstReason("kind: \x1b[31m\n"), "control-character");
  for (const char* bad :
       {"\xFF", "\xC0\x80", "\xED\xA0\x80", "\xE2\x82", "\xF5\x80\x80\x80", "\x80"}) {
    EXPECT_EQ(FirstReason(absl::StrCat("kind: ", bad, "\n")), "invalid-utf8");
  }
  for (const char* bidi :
       {"\xE2\x80\xAE", "\xE2\x81\xA6", "\xD8\x9C", "\xE2\x80\x8B", "\xC2\x85"}) {
    EXPECT_EQ(FirstReason(absl::StrCat("kind: a", bidi, "b\n")), "control-character");
  }
  EXPECT_EQ(FirstReason("kind: \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n"), "");
}

TEST(Hostile, P2_EscapesCannotBringThemBack) {
  for (const char* text :
       {"\"\\0\"", "\"\\x1b\"", "\"\\u202e\"", "\"\\r\"", "\"\\N\"", "\"\\e\""}) {
    EXPECT_EQ(FirstReason(absl::StrCat("kind: ", text, "\n")), "control-character") << text;
  }
}

TEST(Hostile, P2_OneDocumentWithoutAnchorsTagsAndMergeKeys) {
  EXPECT_EQ(FirstReason("a: 1\n---\nb: 2\n"), "several-documents");
  EXPECT_EQ(FirstReason("---\na: 1\n"), "");
  EXPECT_EQ(FirstReason("a: 1\n...\n"), "");
  EXPECT_EQ(FirstReason("a: !!str x\n"), "tag");
  EXPECT_EQ(FirstReason("a: !sealed [x]\n"), "tag");
  EXPECT_EQ(FirstReason("a: ! x\n"), "tag");
  EXPECT_EQ(FirstReason("a: \"!\"\n"), "");
  EXPECT_EQ(FirstReason("%TAG ! tag:x,2000:\n---\na: 1\n"), "directive");
  EXPECT_EQ(FirstReason("[a]: b\n"), "key-not-text");
  EXPECT_EQ(FirstReason("~: b\n"), "key-not-text");
  v1::MachineConfig config;
  const auto result = Decode("metadata:\n  <<: {name: x}\n", "f", config);
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(result.errors[0].reason, "merge-key");
  EXPECT_EQ(result.errors[0].line, 2);
}

TEST(Hostile, P2_TabsDoNotIndent) {
  std::vector<api::Violation> errors;
  ParseTree("a:\n\tb: 1\n", "f", errors);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].reason, "tab-indent");
  EXPECT_EQ(errors[0].line, 2);
  EXPECT_EQ(FirstReason("a: |\n  x\ty\n  \tz\n"), "");
}

TEST(Hostile, EveryCutOfADocumentEnds) {
  const std::string text =
      "metadata: {name: \"x\", labels: {a: b}}\nk3s:\n  token: !sealed |\n    x\n  tlsSans:\n  - "
      "a\n";
  for (size_t i = 0; i <= text.size(); ++i) {
    v1::MachineConfig config;
    const auto result = Decode(text.substr(0, i), "f", config);
    EXPECT_LE(result.errors.size(), 101u);
  }
}

}  // namespace
}  // namespace basalt::yaml
