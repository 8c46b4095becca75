// Edits of a text, collected and then made at once, and to whom the lines of a YAML file belong:
// which comments go when an entry goes, and where a new one is put. Pure; not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace basalt::merge {

class TextEdits {
 public:
  // Without `tidy` no empty line goes with what is deleted.
  explicit TextEdits(absl::string_view text, bool tidy = true) : text_(text), tidy_(tidy) {}

  void Replace(size_t begin, size_t end, std::string with);
  // At the beginning of a line or the end of the text; `lines` ends in a line end.
  void InsertLines(size_t at, std::string lines);
  // Nothing when two edits overlap: whoever made them was wrong about the text.
  std::optional<std::string> Apply();

  absl::string_view text() const { return text_; }
  bool tidy() const { return tidy_; }
  size_t LineStart(size_t at) const;
  size_t LineEnd(size_t at) const;  // of its \n, or the end of the text
  size_t ColumnOf(size_t at) const { return at - LineStart(at); }
  // Only spaces stand before it.
  bool BeginsItsLine(size_t at) const;
  // Nothing but a comma and a comment stands between `at` and the end of the line.
  bool EndsItsLine(size_t at) const;
  // "  # ..." when nothing but that stands between `at` and the end of the line.
  absl::string_view CommentBehind(size_t at) const;

  // Of an entry that begins its line at `begin`: the comments that stand right above it in its own
  // column, down to `floor`, are its own; but for the head of a file.
  size_t Lead(size_t begin, size_t floor) const;
  // Behind the last line of an entry in `column` whose text ends at `end`: with the rest of that
  // line, and with comments below it that are indented deeper.
  size_t Tail(size_t end, size_t column) const;

  // Takes [begin, end), whole lines, and one of the two empty lines that would meet. `first`: the
  // line above is the name of the section; then the empty line below goes.
  void DeleteLines(size_t begin, size_t end, bool first);

 private:
  struct Edit {
    size_t begin, end;
    std::string with;
  };
  bool IsEmptyLine(size_t start) const;

  absl::string_view text_;
  bool tidy_;
  std::vector<Edit> edits_;
};

}  // namespace basalt::merge
