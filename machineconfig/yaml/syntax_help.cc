#include "machineconfig/yaml/syntax_help.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace basalt::yaml {
namespace {

constexpr int kLookBack = 100;  // lines

size_t Indent(absl::string_view line) { return std::min(line.find_first_not_of(' '), line.size()); }
bool Blank(absl::string_view line) {
  const absl::string_view rest = absl::StripLeadingAsciiWhitespace(line);
  return rest.empty() || rest[0] == '#';
}
// Where the colon of "key: value" or "key:" stands, from `from` on.
size_t FindColon(absl::string_view line, size_t from = 0) {
  for (size_t at = line.find(':', from); at != absl::string_view::npos;
       at = line.find(':', at + 1)) {
    if (at + 1 == line.size() || line[at + 1] == ' ') return at;
  }
  return absl::string_view::npos;
}

// Past the closing quote of the quoted text that begins at `at`; npos when there is none.
size_t EndOfQuote(absl::string_view text, size_t at) {
  const char quote = text[at];
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || i + 1 == text.size() || text[i + 1] != '\'') return i + 1;
      ++i;  // '' stands for one
    }
  }
  return absl::string_view::npos;
}

// Where a quote opens in this line and does not close in it.
std::optional<size_t> OpenQuote(absl::string_view line) {
  bool value_may_begin = true;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == ' ') continue;
    if (c == '#' && (i == 0 || line[i - 1] == ' ')) return std::nullopt;
    if (value_may_begin && (c == '"' || c == '\'')) {
      const size_t end = EndOfQuote(line, i);
      if (end == absl::string_view::npos) return i;
      i = end - 1;
    }
    const bool space = i + 1 == line.size() || line[i + 1] == ' ';
    value_may_begin = c == '[' || c == '{' || c == ',' || ((c == ':' || c == '-') && space);
  }
  return std::nullopt;
}

class Explainer {
 public:
  Explainer(absl::string_view text, int line, int column, absl::string_view parser_message)
      : text_(text),
        lines_(absl::StrSplit(text, '\n')),
        line_(line),
        column_(column),
        parser_(parser_message) {}

  SyntaxHelp Run() {
    if (auto help = ForeignText()) return *help;
    if (auto help = UnclosedQuote()) return *help;
    if (parser_ == "illegal map value") return MapValue();
    if (parser_ == "end of map not found" || parser_ == "end of sequence not found") {
      return Here("the line does not fit the indentation of the lines before it",
                  "start all lines of one section in the same column");
    }
    if (absl::StrContains(parser_, "flow not found")) return UnclosedBracket();
    if (parser_ == "illegal flow end") {
      return Here("a `]` or `}` closes nothing", "remove it, or quote the text that it belongs to");
    }
    if (parser_ == "illegal block entry") {
      return Here("a `- ` cannot stand here",
                  "the elements of a list stand below its name, each on a line of its own");
    }
    if (parser_ == "unknown token") return CannotBegin(column_);
    if (absl::StrContains(parser_, "not found after")) return CannotBegin(column_ - 1);
    if (absl::StrContains(parser_, "anchor is not defined")) return CannotBegin(column_);
    if (absl::StartsWith(parser_, "unknown escape character")) {
      return Here(std::string(parser_),
                  "between double quotes a backslash is written \\\\; or use single quotes");
    }
    return Here(std::string(parser_), "");
  }

 private:
  absl::string_view At(int line) const {
    return line >= 1 && line <= static_cast<int>(lines_.size()) ? lines_[line - 1] : "";
  }
  SyntaxHelp Here(std::string message, absl::string_view hint) const {
    return {line_, column_, std::move(message), std::string(hint)};
  }
  static SyntaxHelp There(int line, size_t column, std::string message, absl::string_view hint) {
    return {line, static_cast<int>(column) + 1, std::move(message), std::string(hint)};
  }

  // @ ` % * &
  SyntaxHelp CannotBegin(int column) const {
    const absl::string_view line = At(line_);
    const size_t at = column >= 1 ? static_cast<size_t>(column - 1) : line.size();
    if (at >= line.size()) return Here(std::string(parser_), "");
    return There(line_, at, absl::StrCat("text cannot begin with ", line.substr(at, 1)),
                 "put \" around it");
  }

  // What no YAML holds, whatever yaml-cpp made of it.
  std::optional<SyntaxHelp> ForeignText() const {
    for (int n = std::max(1, line_ - kLookBack); n <= line_; ++n) {
      if (absl::StartsWith(At(n), "<<<<<<< ") || absl::StartsWith(At(n), ">>>>>>> ")) {
        return There(n, 0, "an unresolved merge conflict", "keep one side and remove the markers");
      }
    }
    for (int n : {line_, line_ - 1}) {
      const absl::string_view line = At(n);
      for (absl::string_view space : {"\xC2\xA0", "\xE2\x80\xAF", "\xE3\x80\x80"}) {
        if (const size_t at = line.find(space); at != absl::string_view::npos) {
          return There(n, at, "this looks like a space and is none (a no-break or wide space)",
                       "replace it by a space");
        }
      }
      const size_t text = line.find_first_not_of(" \t");
      if (const size_t tab = line.find('\t'); tab < text && text != absl::string_view::npos) {
        return There(n, tab, "a tab indents this line", "YAML is indented with spaces");
      }
      for (absl::string_view open : {"{{", "{%"}) {
        if (const size_t at = line.find(open); at != absl::string_view::npos) {
          return There(n, at, absl::StrCat("`", open, "` belongs to a template language"),
                       "render the template first; nothing is filled in here");
        }
      }
    }
    return std::nullopt;
  }

  std::optional<SyntaxHelp> UnclosedQuote() const {
    for (int n = line_; n >= std::max(1, line_ - kLookBack); --n) {
      const auto at = OpenQuote(At(n));
      if (!at) continue;
      // A longer text that was closed before the error is innocent.
      const size_t end = EndOfQuote(text_, At(n).data() - text_.data() + *at);
      if (end != absl::string_view::npos && &text_[end - 1] < At(line_).data()) continue;
      return There(n, *at, "a quote is opened in this line and not closed", "close it");
    }
    return std::nullopt;
  }

  // yaml-cpp met a colon where no key may stand.
  SyntaxHelp MapValue() const {
    const absl::string_view line = At(line_);
    const size_t first = FindColon(line);
    if (first != absl::string_view::npos && static_cast<int>(first) < column_ - 1) {
      return Here("a second `: ` in one line", "quote the text that holds it: KEY: \"a: b\"");
    }
    // The line before has no colon of its own, so both were read as one key.
    int culprit = 0;
    for (int n = line_ - 1; n >= std::max(1, line_ - kLookBack); --n) {
      if (Blank(At(n))) continue;
      if (FindColon(At(n)) != absl::string_view::npos) break;
      if (Indent(At(n)) <= Indent(line)) culprit = n;
    }
    if (culprit > 0) {
      const absl::string_view before = At(culprit);
      if (const size_t colon = before.find(':'); colon != absl::string_view::npos) {
        return There(culprit, colon, "a space belongs after the colon", "write KEY: VALUE");
      }
      return There(culprit, Indent(before), "the line has no `: `",
                   "write KEY: VALUE; lines of a longer text are indented deeper than their key");
    }
    return Here("the line is indented deeper than the one before, which has its value already",
                "start all lines of one section in the same column");
  }

  SyntaxHelp UnclosedBracket() const {
    const bool map = absl::StrContains(parser_, "map");
    const char open = map ? '{' : '[';
    const char close = map ? '}' : ']';
    int depth = 0;
    for (int n = line_; n >= std::max(1, line_ - kLookBack); --n) {
      const absl::string_view line = At(n).substr(0, At(n).find(" #"));
      const size_t end = n == line_ ? std::min<size_t>(column_ - 1, line.size()) : line.size();
      for (size_t i = end; i-- > 0;) {
        if (line[i] == close) ++depth;
        if (line[i] == open && depth-- == 0) {
          return There(n, i, absl::StrCat("this `", std::string(1, open), "` is not closed"),
                       absl::StrCat("close it with `", std::string(1, close),
                                    "`; quote text that holds brackets, commas or ` #`"));
        }
      }
    }
    return Here("a bracket is not closed", "check the brackets above");
  }

  const absl::string_view text_;
  const std::vector<absl::string_view> lines_;  // of `text_`
  const int line_;
  const int column_;
  const absl::string_view parser_;
};

}  // namespace

SyntaxHelp ExplainSyntax(absl::string_view text, int line, int column,
                         absl::string_view parser_message) {
  return Explainer(text, line, column, parser_message).Run();
}

bool QuoteIsClosed(absl::string_view text, size_t at) {
  if (at >= text.size() || (text[at] != '"' && text[at] != '\'')) return true;
  return EndOfQuote(text, at) != absl::string_view::npos;
}

}  // namespace basalt::yaml
