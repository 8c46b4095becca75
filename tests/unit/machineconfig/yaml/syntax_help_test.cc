#include "machineconfig/yaml/syntax_help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machineconfig/yaml/tree.h"

namespace basalt::yaml {
namespace {

using ::testing::HasSubstr;

// What a person is told: the whole way, because yaml-cpp's own place and words are half of it.
api::Violation Only(absl::string_view text) {
  std::vector<api::Violation> errors;
  EXPECT_TRUE(ParseTree(text, "", errors).empty()) << text;
  EXPECT_EQ(errors.size(), 1u) << text;
  return errors.empty() ? api::Violation{} : errors[0];
}

TEST(SyntaxHelp, P2_NamesTheCauseAndItsPlace) {
  struct {
    const char* text;
    int line;
    int column;
    const char* message;
  } const kCases[] = {
      {"a: b\nc d\ne: f\n", 2, 1, "the line has no `: `"},
      {"a: b\nc:d\ne: f\n", 2, 2, "a space belongs after the colon"},
      {"a:\n  b: c: d\n", 2, 7, "a second `: `"},
      {"a:\n   b: c\n  d: e\n", 3, 3, "does not fit the indentation"},
      {"a: b\n  c: d\n", 2, 4, "indented deeper than the one before"},
      {"a: \"b\nc: \"d\"\ne: f\n", 1, 4, "a quote is opened in this line"},
      {"a: \"b\n  c\"\nd: e: f\n", 3, 5, "a second `: `"},  // the longer text is innocent
      {"a: {b: c\nd: e\n", 1, 4, "this `{` is not closed"},
      {"a: [b #]\nc: d\n", 1, 4, "this `[` is not closed"},
      {"a: [b]]\n", 1, 7, "closes nothing"},
      {"a: - b\n", 1, 4, "a `- ` cannot stand here"},
      {"a: @b\n", 1, 4, "text cannot begin with @"},
      {"a: * * *\n", 1, 4, "text cannot begin with *"},
      {"a: \"\\p\"\n", 1, 7, "unknown escape character"},
      {"a: b\n<<<<<<< x\nc: d\n", 2, 1, "merge conflict"},
      {"a:\n \tb: c\n", 2, 2, "a tab indents this line"},
      {"a: b\n\xC2\xA0 c: d\n e: f\n", 2, 1, "looks like a space"},
      {"{% if x %}\na: b\n", 1, 1, "template"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.text);
    const api::Violation error = Only(c.text);
    EXPECT_EQ(error.reason, "syntax");
    EXPECT_THAT(error.message, HasSubstr(c.message));
    EXPECT_FALSE(error.hint.empty());
    EXPECT_EQ(error.line, c.line);
    EXPECT_EQ(error.column, c.column);
  }
}

// yaml-cpp takes the end of the text for a closing quote and for a colon.
TEST(SyntaxHelp, P2_TheEndOfTheTextClosesNothing) {
  for (const char* text :
       {"a: \"b", "a: 'b", "a: \"b\\\"", "a: 'b''", "a: !sealed \"b\n", "a:\n- \"b\n"}) {
    EXPECT_THAT(Only(text).message, HasSubstr("not closed")) << text;
  }
  for (const char* text : {"a: b\nc", "a: b\nc\n", "a:\n  b: c\n  d\n"}) {
    EXPECT_THAT(Only(text).message, HasSubstr("has no `: `")) << text;
  }
  for (const char* text : {"a: \"b\"", "a: 'b'''", "a: \"b\\\\\"", "a: 'b' # \"", "a: |\n  \"b\n",
                           "a:", "a: b\nc:\n", "{a: b, c}", "a: it's", "\"a\": b"}) {
    std::vector<api::Violation> errors;
    EXPECT_FALSE(ParseTree(text, "", errors).empty()) << text;
    EXPECT_TRUE(errors.empty()) << text << errors[0].ToString();
  }
}

}  // namespace
}  // namespace basalt::yaml
