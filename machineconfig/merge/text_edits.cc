#include "machineconfig/merge/text_edits.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace basalt::merge {

void TextEdits::Replace(size_t begin, size_t end, std::string with) {
  edits_.push_back({begin, end, std::move(with)});
}

void TextEdits::InsertLines(size_t at, std::string lines) {
  if (at == text_.size() && !text_.empty() && text_.back() != '\n') lines.insert(0, "\n");
  Replace(at, at, std::move(lines));
}

std::optional<std::string> TextEdits::Apply() {
  // At one place what is inserted comes before what is replaced, and both in the order of asking.
  std::stable_sort(edits_.begin(), edits_.end(), [](const Edit& a, const Edit& b) {
    return std::make_tuple(a.begin, a.end > a.begin) < std::make_tuple(b.begin, b.end > b.begin);
  });
  std::string out;
  size_t at = 0;
  for (const Edit& edit : edits_) {
    if (edit.begin < at || edit.end < edit.begin || edit.end > text_.size()) return std::nullopt;
    absl::StrAppend(&out, text_.substr(at, edit.begin - at), edit.with);
    at = edit.end;
  }
  absl::StrAppend(&out, text_.substr(at));
  return out;
}

size_t TextEdits::LineStart(size_t at) const {
  if (at == 0) return 0;
  const size_t line = text_.rfind('\n', at - 1);
  return line == text_.npos ? 0 : line + 1;
}

size_t TextEdits::LineEnd(size_t at) const { return std::min(text_.find('\n', at), text_.size()); }

bool TextEdits::BeginsItsLine(size_t at) const {
  const size_t start = LineStart(at);
  return text_.substr(start, at - start).find_first_not_of(' ') == text_.npos;
}

bool TextEdits::EndsItsLine(size_t at) const {
  absl::string_view rest = text_.substr(at, LineEnd(at) - at);
  const size_t first = rest.find_first_not_of(" \t");
  if (first == rest.npos) return true;
  if (rest[first] != ',') return false;
  rest.remove_prefix(first + 1);
  const size_t next = rest.find_first_not_of(" \t");
  return next == rest.npos || (rest[next] == '#' && next > 0);
}

absl::string_view TextEdits::CommentBehind(size_t at) const {
  absl::string_view rest = text_.substr(at, LineEnd(at) - at);
  const size_t hash = rest.find_first_not_of(" \t");
  if (hash == rest.npos || hash == 0 || rest[hash] != '#') return "";
  while (!rest.empty() && (rest.back() == ' ' || rest.back() == '\t')) rest.remove_suffix(1);
  return rest;
}

bool TextEdits::IsEmptyLine(size_t start) const {
  const size_t first = text_.find_first_not_of(" \t", start);
  return start < text_.size() && (first == text_.npos || text_[first] == '\n');
}

size_t TextEdits::Lead(size_t begin, size_t floor) const {
  const size_t column = ColumnOf(begin);
  size_t lead = LineStart(begin);
  while (lead > floor) {
    const size_t above = LineStart(lead - 1);
    const size_t first = text_.find_first_not_of(' ', above);
    if (above < floor || text_[first] != '#' || first - above != column) break;
    lead = above;
  }
  return lead == 0 && column == 0 ? LineStart(begin) : lead;
}

size_t TextEdits::Tail(size_t end, size_t column) const {
  size_t tail = LineEnd(end);
  for (size_t line = tail; line + 1 < text_.size(); line = LineEnd(line + 1)) {
    const size_t first = text_.find_first_not_of(' ', line + 1);
    if (first == text_.npos) break;
    if (text_[first] == '\n') continue;
    if (text_[first] != '#' || first - (line + 1) <= column) break;
    tail = LineEnd(first);
  }
  return std::min(tail + 1, text_.size());
}

void TextEdits::DeleteLines(size_t begin, size_t end, bool first) {
  if (!tidy_) return Replace(begin, end, "");
  const bool empty_below = end == text_.size() || IsEmptyLine(end);
  if (first && begin > 0 && IsEmptyLine(end)) {
    end = std::min(LineEnd(end) + 1, text_.size());
  } else if (begin > 0 && IsEmptyLine(LineStart(begin - 1)) && empty_below) {
    begin = LineStart(begin - 1);
  }
  Replace(begin, end, "");
}

}  // namespace basalt::merge
