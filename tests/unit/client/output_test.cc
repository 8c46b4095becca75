#include <gmock/gmock.h>

#include <sstream>

#include "basalt/v1/resource_service.pb.h"
#include "client/commands/completion.h"
#include "client/output/errors.h"
#include "client/output/io.h"
#include "client/output/messages.h"
#include "client/output/plan_text.h"
#include "client/output/table.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Escape, P6_ControlsEscapesBidiAndBadUtf8AreShown) {
  EXPECT_EQ(Escape("\x1b[2Jx"), "\\x1b[2Jx");
  EXPECT_EQ(Escape("a\nb"), "a\\x0ab");
  EXPECT_EQ(Escape("a\nb", true), "a\nb");
  EXPECT_EQ(Escape("\xc2\x9b"
                   "31m"),
            "\\x9b31m");                                 // the one-character CSI
  EXPECT_EQ(Escape("\xe2\x80\xae"), "\\u{202e}");        // right-to-left override
  EXPECT_EQ(Escape("\xff\xc0\xaf"), "\\xff\\xc0\\xaf");  // overlong
  EXPECT_EQ(Escape("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(Escape("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(Escape(std::string("\0", 1)), "\\x00");
}

TEST(Escape, P6_YamlEscapesReadBackAsWhatTheyWere) {
  EXPECT_EQ(EscapeYaml("\x1b[2J\xc2\x9b"), "\\u001B[2J\\u009B");
  EXPECT_EQ(EscapeYaml("\xf3\xa0\x81\x81"), "\\U000E0041");  // a tag character
  EXPECT_EQ(EscapeYaml("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
}

TEST(Table, WidthsCountCharactersAndLinesDoNotEndInBlanks) {
  EXPECT_EQ(Render({{"A", "B"}, {{"\xc3\xbc", "x"}, {"long", ""}}}),
            "A     B\n\xc3\xbc     x\nlong\n");
}

TEST(Errors, TextNamesNodeCodeAndHint) {
  std::ostringstream out, err;
  Io io{out, err};
  PrintError(
      io,
      AtNode(api::Coded(absl::StatusCode::kAborted, "below-floor", "too old\x1b", "sign"), "n1"));
  EXPECT_EQ(err.str(), "error: n1: below-floor: too old\\x1b\n  hint: sign\n");
  EXPECT_EQ(out.str(), "");
}

TEST(Errors, JsonHoldsEveryViolation) {
  const absl::Status status = api::Invalid({{.reason = "unknown-field",
                                             .file = "f",
                                             .line = 3,
                                             .column = 1,
                                             .path = "a.b",
                                             .message = "m",
                                             .hint = "h"},
                                            {.reason = "required", .path = "c", .message = "n"}});
  EXPECT_EQ(ErrorsJson(status),
            "{\"errors\":[{\"code\":\"unknown-field\",\"message\":\"m\",\"file\":\"f\",\"line\":3,"
            "\"column\":1,"
            "\"path\":\"a.b\",\"hint\":\"h\"},{\"code\":\"required\",\"message\":\"n\",\"path\":"
            "\"c\"}]}");
}

TEST(Errors, JsonHasThePlaceAsKeysAndNotInTheMessage) {
  const absl::Status status = api::InFile(
      api::WithDetail(api::WithDetail(api::Coded(absl::StatusCode::kPermissionDenied,
                                                 "too-few-signers", "k3s.version: no", "sign"),
                                      "path", "k3s.version"),
                      "missing", "1 more of bob\n2 more of c, d"),
      "n1.json");
  EXPECT_EQ(status.message(), "n1.json: k3s.version: no");
  EXPECT_EQ(ErrorsJson(status),
            "{\"errors\":[{\"code\":\"too-few-signers\",\"message\":\"k3s.version: no\",\"file\":"
            "\"n1.json\",\"path\":\"k3s.version\",\"hint\":\"sign\",\"missing\":[\"1 more of bob\","
            "\"2 more of c, d\"]}]}");
  const absl::Status line = api::WithDetail(
      api::WithDetail(api::Coded(absl::StatusCode::kInvalidArgument, "bad-recipient", "f:3: no"),
                      "file", "f"),
      "line", "3");
  EXPECT_EQ(
      ErrorsJson(line),
      "{\"errors\":[{\"code\":\"bad-recipient\",\"message\":\"no\",\"file\":\"f\",\"line\":3}]}");
}

TEST(Errors, ViolationsThatNameNoFileGetTheirs) {
  const absl::Status status = api::InFile(
      api::Invalid({{.reason = "a", .message = "m"}, {.reason = "b", .file = "g", .message = "n"}}),
      "f");
  const std::vector<api::Violation> violations = api::Violations(status);
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[0].file, "f");
  EXPECT_EQ(violations[1].file, "g");
}

TEST(Format, AVerbTakesWhatItCanPrintAndListsIt) {
  EXPECT_EQ(*ParseFormat("", {"json"}), Format::kTable);
  EXPECT_EQ(*ParseFormat("json", {"table", "json"}), Format::kJson);
  const absl::Status wrong = ParseFormat("yaml", {"table", "json"}).status();
  EXPECT_EQ(api::Reason(wrong), "bad-output");
  EXPECT_EQ(api::Hint(wrong), "one of table, json");
}

TEST(Errors, WithoutAReasonTheStatusCodeIsTheCode) {
  EXPECT_EQ(CodeOf(absl::UnavailableError("x")), "unavailable");
  EXPECT_EQ(CodeOf(absl::DeadlineExceededError("x")), "deadline-exceeded");
}

TEST(Confirm, AsksOnATerminalAndRefusesInAPipe) {
  std::ostringstream out, err;
  Io io{out, err};
  EXPECT_EQ(api::Reason(Confirm(io, "Sure?", false)), "needs-yes");
  EXPECT_TRUE(Confirm(io, "Sure?", true).ok());
  io.in_terminal = true;
  io.read_line = [] { return std::string("Yes"); };
  EXPECT_TRUE(Confirm(io, "Sure?", false).ok());
  io.read_line = [] { return std::string(""); };
  EXPECT_EQ(api::Reason(Confirm(io, "Sure?", false)), "declined");
}

TEST(Messages, WordsOfEnumsAreLowerKebab) {
  EXPECT_EQ(StateWord(v1::APPLY_STATE_AWAITING_CONFIRM), "awaiting-confirm");
  EXPECT_EQ(EffectWord(v1::EFFECT_RESTART_K3S), "restart-k3s");
  EXPECT_EQ(EffectWord(v1::EFFECT_UNSPECIFIED), "none");
}

TEST(Messages, TableHasTheAnnotatedColumns) {
  v1::Generation generation;
  generation.set_generation(7);
  generation.set_state(v1::APPLY_STATE_COMMITTED);
  generation.add_signers("config");
  generation.set_active(true);
  Table table = MessageTable({&generation}, false);
  EXPECT_EQ(table.titles[0], "GENERATION");
  EXPECT_EQ(table.rows[0][0], "7");
  EXPECT_THAT(Render(table), HasSubstr("committed"));
  EXPECT_THAT(Render(table), Not(HasSubstr("DELIVERED BY")));
  EXPECT_THAT(Render(MessageTable({&generation}, true)), HasSubstr("DELIVERED BY"));
  generation.set_reason(std::string(200, 'x'));
  EXPECT_THAT(Render(MessageTable({&generation}, false)), HasSubstr(std::string(57, 'x') + "..."));
  EXPECT_THAT(Render(MessageTable({&generation}, true)), HasSubstr(std::string(200, 'x')));
}

TEST(Messages, YamlIsTheTreeOfTheJson) {
  v1::ListReply list;
  v1::Resource* resource = list.add_resources();
  resource->set_kind("K3sStatus");
  resource->mutable_k3s_status()->add_last_lines("a: b");
  const std::string yaml = ToYaml(list);
  EXPECT_THAT(yaml, HasSubstr("resources:\n  - kind: K3sStatus\n"));
  EXPECT_THAT(yaml, HasSubstr("lastLines:\n"));
  EXPECT_THAT(yaml, HasSubstr("- \"a: b\"\n"));
}

TEST(Plan, TextShowsChangesStepsAndWhatThePlatformCannotDo) {
  std::ostringstream out, err;
  Io io{out, err};
  v1::PlanReply plan;
  v1::PlannedChange* change = plan.add_changes();
  change->set_path("k3s.version");
  change->set_kind(v1::CHANGE_KIND_MODIFY);
  change->set_old_value("v1");
  change->set_new_value("v2");
  change->set_effect(v1::EFFECT_RESTART_K3S);
  v1::PlannedStep* step = plan.add_steps();
  step->set_controller("k3s");
  step->set_description("restart");
  step->set_unimplemented("sandbox");
  plan.set_effect(v1::EFFECT_RESTART_K3S);
  const std::string text = PlanText(io, plan);
  EXPECT_THAT(text, HasSubstr("~ k3s.version: v1 -> v2  # restart-k3s"));
  EXPECT_THAT(text, HasSubstr("not done on this platform: sandbox"));
  EXPECT_FALSE(IsDrastic(plan));
  plan.set_effect(v1::EFFECT_REBOOT);
  EXPECT_TRUE(IsDrastic(plan));
}

TEST(Plan, OfALongValueThePartThatDiffersIsShown) {
  std::ostringstream out, err;
  Io io{out, err};
  v1::PlanReply plan;
  v1::PlannedChange* change = plan.add_changes();
  change->set_path("a");
  change->set_kind(v1::CHANGE_KIND_MODIFY);
  const std::string same(300, 'x');
  change->set_old_value("[" + same + ", b]");
  change->set_new_value("[" + same + ", b, evil]");
  EXPECT_EQ(DiffText(io, plan), "  ~ a: ...xxxxxxxxxxxxx, b] -> ...xxxxxxxxxxxxx, b, evil]\n");
}

TEST(Plan, ACutFallsBetweenCharacters) {
  std::ostringstream out, err;
  Io io{out, err};
  v1::PlanReply plan;
  v1::PlannedChange* change = plan.add_changes();
  change->set_path("a");
  change->set_kind(v1::CHANGE_KIND_ADD);
  std::string text = "x";
  for (int i = 0; i < 200; ++i) text += "ä";
  change->set_new_value(text);
  EXPECT_THAT(DiffText(io, plan), HasSubstr("ä... (401 bytes)"));
  EXPECT_THAT(DiffText(io, plan), Not(HasSubstr("\xc3...")));
  // A signer sees it whole, or the hash of what is too long for a screen.
  EXPECT_THAT(DiffText(io, plan, PlanDetail::kWhole), HasSubstr(text));
  change->set_new_value(std::string(10000, 'y'));
  EXPECT_THAT(DiffText(io, plan, PlanDetail::kWhole), HasSubstr("(10000 bytes, sha256 "));
}

TEST(Completion, EveryShellGetsNestedVerbs) {
  const std::vector<CompletionVerb> verbs = {{"gen", "Generate", {}, {}},
                                             {"gen config", "It's", {"--name", "-o"}, {}},
                                             {"completion", "", {"-n"}, {"bash", "zsh"}}};
  EXPECT_THAT(Completion("bash", verbs),
              HasSubstr("'gen config') COMPREPLY=($(compgen -W '--name -o'"));
  EXPECT_THAT(Completion("bash", verbs),
              HasSubstr("'completion') COMPREPLY=($(compgen -W 'bash zsh -n'"));
  EXPECT_THAT(Completion("fish", verbs), HasSubstr("-s n -x -a '(nodectl __nodes 2>/dev/null)'"));
  EXPECT_THAT(Completion("zsh", verbs), HasSubstr("#compdef nodectl"));
  EXPECT_THAT(Completion("fish", verbs), HasSubstr("-f -a config -d 'It\\'s'"));
}

TEST(Completion, ExplainIsGivenThePathsOfFields) {
  const std::vector<CompletionVerb> verbs = {{"explain", "Explain", {"--recursive"}, {}}};
  EXPECT_THAT(Completion("bash", verbs),
              HasSubstr("compgen -W '--recursive'\" $(nodectl __paths 2>/dev/null)\" --"));
  EXPECT_THAT(Completion("fish", verbs), HasSubstr("-f -a '(nodectl __paths 2>/dev/null)'"));
}

}  // namespace
}  // namespace basalt::client
