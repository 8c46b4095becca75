// What the walk decided, put into the style in which the text is written.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "machineconfig/merge/rewriter.h"

namespace basalt::merge {
namespace {

// Every line but the empty ones moved to the right.
std::string Indented(absl::string_view lines, size_t by) {
  std::string out;
  while (!lines.empty()) {
    const size_t end = std::min(lines.find('\n'), lines.size() - 1) + 1;
    if (lines[0] != '\n') out.append(by, ' ');
    absl::StrAppend(&out, lines.substr(0, end));
    lines.remove_prefix(end);
  }
  return out;
}

}  // namespace

Rewriter::Rewriter(absl::string_view text, const yaml::Tree& tree,
                   const std::vector<yaml::Extent>& layout, int max_depth, bool tidy)
    : tree_(tree),
      layout_(layout),
      in_brackets_(tree.nodes.size()),
      edits_(text, tidy),
      max_depth_(max_depth) {
  for (size_t i = 0; i < tree.nodes.size(); ++i) {
    for (int child = tree.nodes[i].first_child; child >= 0; child = tree.at(child).next) {
      in_brackets_[static_cast<size_t>(child)] = in_brackets_[i] || layout[i].flow;
    }
  }
}

size_t Rewriter::BeginOf(const Item& item) const {
  if (item.key >= 0) return at(item.key).begin;
  // Behind the dash of a block list; the value itself in brackets.
  return in_brackets_[static_cast<size_t>(item.value)] ? at(item.value).begin
                                                       : at(item.value).after - 1;
}

bool Rewriter::Change(int collection, const std::vector<Item>& items,
                      const std::vector<NewItem>& added) {
  if (std::none_of(items.begin(), items.end(), [](const Item& i) { return i.stays; })) return false;
  if (!at(collection).flow) {
    ChangeBlock(collection, items, added);
    return true;
  }
  ChangeFlow(items, added);
  return true;
}

void Rewriter::ChangeBlock(int collection, const std::vector<Item>& items,
                           const std::vector<NewItem>& added) {
  const size_t column = ColumnOf(items[0]);
  const size_t first = BeginOf(items[0]);
  // "- name: a": the first entry has its line from the dash before it, and whoever comes first
  // after the change must stand there.
  const bool shares_line = !edits_.BeginsItsLine(first);
  const size_t kept = static_cast<size_t>(
      std::find_if(items.begin(), items.end(), [](const Item& i) { return i.stays; }) -
      items.begin());
  std::vector<size_t> tails;
  for (const Item& item : items) tails.push_back(edits_.Tail(EndOf(item), column));
  // Comments of the first entry end at the line of the section's name.
  const size_t floor =
      collection == 0 ? 0
                      : std::min(edits_.LineEnd(at(collection).after) + 1, edits_.LineStart(first));
  auto lead = [&](size_t i) {
    return edits_.Lead(BeginOf(items[i]), i == 0 ? floor : tails[i - 1]);
  };
  size_t from = 0;
  if (shares_line && kept > 0) {
    size_t next = lead(kept);
    next = edits_.text().find_first_not_of(' ', next);
    edits_.Replace(first, next, "");
    from = kept;
  }
  for (size_t i = from; i < items.size(); ++i) {
    if (items[i].stays) continue;
    const bool nothing_new = std::none_of(added.begin(), added.end(), [&](const NewItem& item) {
      return item.behind == static_cast<int>(i);
    });
    edits_.DeleteLines(lead(i), tails[i], i < kept && nothing_new);
  }
  for (const NewItem& item : added) {
    const bool ahead = item.behind < 0 || (shares_line && static_cast<size_t>(item.behind) < kept);
    if (!ahead) {
      edits_.InsertLines(tails[static_cast<size_t>(item.behind)], Indented(item.block, column));
    } else if (shares_line) {
      std::string text = Indented(item.block, column).substr(column);
      edits_.Replace(first, first, text + std::string(column, ' '));
    } else {
      edits_.InsertLines(lead(0), Indented(item.block, column));
    }
  }
}

void Rewriter::ChangeFlow(const std::vector<Item>& items, const std::vector<NewItem>& added) {
  auto new_behind = [&](size_t from, size_t to) {  // of the items [from, to)
    std::vector<std::string> out;
    for (const NewItem& item : added) {
      if (item.behind >= static_cast<int>(from) && item.behind < static_cast<int>(to)) {
        out.push_back(item.flow);
      }
    }
    return out;
  };
  size_t i = 0;
  while (!items[i].stays) ++i;
  std::vector<std::string> head;
  for (const NewItem& item : added) {
    if (item.behind < static_cast<int>(i)) head.push_back(item.flow + ", ");
  }
  if (i > 0 || !head.empty()) {
    edits_.Replace(BeginOf(items[0]), BeginOf(items[i]), absl::StrJoin(head, ""));
  }
  while (i < items.size()) {
    size_t next = i + 1;
    while (next < items.size() && !items[next].stays) ++next;
    const std::vector<std::string> fresh = new_behind(i, next);
    const size_t end = EndOf(items[i]);
    // Entries with lines of their own go with them: the comment behind a comma is about what stands
    // before it.
    const bool own_lines =
        edits_.tidy() && fresh.empty() && next > i + 1 &&
        edits_.EndsItsLine(EndOf(items[next - 1])) &&
        std::all_of(items.begin() + static_cast<ptrdiff_t>(i) + 1,
                    items.begin() + static_cast<ptrdiff_t>(next),
                    [&](const Item& item) { return edits_.BeginsItsLine(BeginOf(item)); });
    if (own_lines) {
      const size_t first = edits_.Lead(BeginOf(items[i + 1]), edits_.LineEnd(end) + 1);
      const size_t last = edits_.LineEnd(EndOf(items[next - 1]));
      edits_.Replace(first, std::min(last + 1, edits_.text().size()), "");
      i = next;
      continue;
    }
    // From behind the one that stays to behind the last that goes.
    const size_t gone = next == i + 1 ? end : EndOf(items[next - 1]);
    if (gone != end || !fresh.empty()) {
      edits_.Replace(end, gone,
                     fresh.empty() ? "" : absl::StrCat(", ", absl::StrJoin(fresh, ", ")));
    }
    i = next;
  }
}

void Rewriter::ReplaceValue(const Item& item, const NewValue& value) {
  const yaml::Extent& old = at(item.value);
  const absl::string_view text = edits_.text();
  if (in_brackets_[static_cast<size_t>(item.value)]) {
    const bool named = item.key < 0 || !old.empty() || text[old.begin - 1] == ':';
    const bool space = item.key < 0 || !old.empty();
    edits_.Replace(old.begin, old.end,
                   absl::StrCat(named ? "" : ":", space ? "" : " ", value.flow));
    return;
  }
  const size_t line_end = value.block.find('\n');
  const std::string first = value.block.substr(0, line_end);
  const absl::string_view rest = absl::string_view(value.block).substr(line_end + 1);
  const yaml::Node& node = tree_.at(item.value);
  const bool block_collection =
      (node.kind == yaml::NodeKind::kMap || node.kind == yaml::NodeKind::kSequence) && !old.flow;
  const bool one_line = !block_collection && !old.block_text &&
                        edits_.LineStart(old.begin) == edits_.LineStart(old.end) &&
                        edits_.LineStart(old.begin) == edits_.LineStart(old.after);
  if (one_line && rest.empty() && !first.empty()) {
    edits_.Replace(old.begin, old.end, old.empty() ? absl::StrCat(" ", first) : first);
    return;
  }
  // The line of the name keeps its comment.
  size_t end = edits_.LineEnd(old.end);
  absl::string_view comment = edits_.CommentBehind(old.after);
  if (block_collection) {
    end = edits_.Tail(old.end, ColumnOf(item));
    if (end > 0 && text[end - 1] == '\n') --end;
  } else if (old.block_text) {
    const size_t header = text.find_first_of(" \n", text.find_first_of("|>", old.begin));
    if (header != text.npos) comment = edits_.CommentBehind(header);
  } else if (comment.empty()) {
    comment = edits_.CommentBehind(old.end);
  }
  std::string with;
  if (!first.empty()) absl::StrAppend(&with, " ", first);
  absl::StrAppend(&with, comment);
  if (!rest.empty()) absl::StrAppend(&with, "\n", Indented(rest, ColumnOf(item)));
  // The line end that is there already, if it is.
  if (!rest.empty() && end < text.size()) with.pop_back();
  edits_.Replace(old.after, end, std::move(with));
}

}  // namespace basalt::merge
