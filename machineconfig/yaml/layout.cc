#include "machineconfig/yaml/layout.h"

#include "absl/strings/match.h"

namespace basalt::yaml {
namespace {

constexpr size_t kNone = absl::string_view::npos;

class Scanner {
 public:
  Scanner(absl::string_view text, const Tree& tree)
      : text_(text), tree_(tree), extents_(tree.nodes.size()) {}

  bool Run() {
    SkipSpace();
    if (absl::StartsWith(text_.substr(at_), "---")) at_ += 3;
    if (!Value(0, -1, false)) return false;
    extents_[0].after = extents_[0].begin;
    SkipSpace();
    return at_ == text_.size() || absl::StartsWith(text_.substr(at_), "...");
  }
  std::vector<Extent> Take() { return std::move(extents_); }

 private:
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\n';
  }
  bool BlankAt(size_t at) const {
    return at >= text_.size() || text_[at] == ' ' || text_[at] == '\n' || text_[at] == '\t';
  }
  int ColumnOf(size_t at) const {
    const size_t line = at == 0 ? kNone : text_.rfind('\n', at - 1);
    return static_cast<int>(at - (line == kNone ? 0 : line + 1));
  }
  // Spaces, line ends and comments.
  void SkipSpace() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ' ' || c == '\n' || c == '\t') {
        ++at_;
      } else if (c == '#' && (at_ == 0 || BlankAt(at_ - 1))) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        return;
      }
    }
  }

  // `indent` is the column of the collection that holds the value, -1 for the root.
  bool Value(int index, int indent, bool in_flow) {
    Extent& out = extents_[index];
    const Node& node = tree_.at(index);
    out.after = at_;
    SkipSpace();
    out.begin = at_;
    bool good = false;
    switch (node.kind) {
      case NodeKind::kNull:
        good = Null(out);
        break;
      case NodeKind::kPlain:
      case NodeKind::kQuoted:
        good = Scalar(node, out, indent, in_flow);
        break;
      case NodeKind::kSequence:
        good = Peek() == '[' ? FlowList(index) : !in_flow && BlockList(index);
        break;
      case NodeKind::kMap:
        good = Peek() == '{' ? FlowMap(index) : !in_flow && BlockMap(index);
        break;
    }
    extents_[index].end = at_;
    return good;
  }

  bool Null(Extent& out) {
    for (absl::string_view word : {"~", "null", "Null", "NULL"}) {
      if (!absl::StartsWith(text_.substr(at_), word)) continue;
      const size_t end = at_ + word.size();
      if (!BlankAt(end) && text_[end] != ',' && text_[end] != ']' && text_[end] != '}') continue;
      at_ = end;
      return true;
    }
    at_ = out.begin = out.after;
    return true;
  }

  bool Scalar(const Node& node, Extent& out, int indent, bool in_flow) {
    if (Peek() == '!') {
      while (!BlankAt(at_)) ++at_;
      const size_t behind_tag = at_;
      if (node.text.empty()) {  // perhaps nothing follows: then the tag is all there is
        SkipSpace();
        if (Peek() != '"' && Peek() != '\'' && Peek() != '|' && Peek() != '>') at_ = behind_tag;
        if (at_ == behind_tag) return true;
      }
      SkipSpace();
    }
    switch (Peek()) {
      case '"':
        return Quoted('"');
      case '\'':
        return Quoted('\'');
      case '|':
      case '>':
        if (!in_flow) return Block(out, indent);
        [[fallthrough]];
      default:
        return Plain(node.text);
    }
  }

  bool Quoted(char quote) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (quote == '"' && text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == quote) {
        if (quote == '\'' && Peek(1) == '\'') {
          ++at_;
          continue;
        }
        ++at_;
        return true;
      }
    }
    return false;
  }

  // A plain text has no escapes, and folding touches white space alone.
  bool Plain(absl::string_view value) {
    size_t end = at_;
    for (size_t i = 0; i < value.size();) {
      if (value[i] == ' ' || value[i] == '\n' || value[i] == '\t') {
        while (i < value.size() && (value[i] == ' ' || value[i] == '\n' || value[i] == '\t')) ++i;
        if (!BlankAt(at_)) return false;
        while (at_ < text_.size() && BlankAt(at_)) ++at_;
      } else {
        if (at_ >= text_.size() || text_[at_] != value[i]) return false;
        ++at_;
        ++i;
        end = at_;
      }
    }
    at_ = end;
    return true;
  }

  bool Block(Extent& out, int indent) {
    out.block_text = true;
    bool keep = false;
    int wanted = -1;
    while (at_ < text_.size() && !BlankAt(at_)) {
      if (text_[at_] == '+') keep = true;
      if (text_[at_] >= '1' && text_[at_] <= '9') wanted = std::max(indent, 0) + (text_[at_] - '0');
      ++at_;
    }
    size_t line = text_.find('\n', at_);
    // The header's comment, if any, belongs to its line and not to the text.
    size_t end = at_;
    while (line != kNone && line + 1 < text_.size()) {
      const size_t start = line + 1;
      const size_t next = text_.find('\n', start);
      const size_t stop = std::min(next, text_.size());
      const size_t first = std::min(text_.find_first_not_of(' ', start), stop);
      if (first == stop) {
        if (keep) end = stop;
      } else {
        const int column = static_cast<int>(first - start);
        if (wanted < 0) wanted = std::max(column, indent + 1);
        if (column < wanted) break;
        end = stop;
      }
      line = next;
    }
    at_ = end;
    return true;
  }

  bool BlockList(int index) {
    const int column = ColumnOf(at_);
    for (int i = tree_.at(index).first_child; i >= 0; i = tree_.at(i).next) {
      SkipSpace();
      if (Peek() != '-' || !BlankAt(at_ + 1)) return false;
      ++at_;
      if (!Value(i, column, false)) return false;
    }
    return true;
  }

  bool BlockMap(int index) {
    const int column = ColumnOf(at_);
    for (int i = tree_.at(index).first_child; i >= 0;) {
      SkipSpace();
      const int value = tree_.at(i).next;
      if (value < 0 || !Key(i, column, false)) return false;
      while (Peek() == ' ') ++at_;
      if (Peek() != ':') return false;
      ++at_;
      if (!Value(value, column, false)) return false;
      i = tree_.at(value).next;
    }
    return true;
  }

  bool Key(int index, int indent, bool in_flow) {
    if (Peek() == '?' && BlankAt(at_ + 1)) return false;
    return Value(index, indent, in_flow);
  }

  bool FlowList(int index) {
    extents_[index].flow = true;
    ++at_;
    for (int i = tree_.at(index).first_child; i >= 0; i = tree_.at(i).next) {
      SkipSpace();
      if (!Value(i, -1, true)) return false;
      extents_[i].after = extents_[i].begin;
      SkipSpace();
      if (Peek() == ',') ++at_;
    }
    return Close(']');
  }

  bool FlowMap(int index) {
    extents_[index].flow = true;
    ++at_;
    for (int i = tree_.at(index).first_child; i >= 0;) {
      SkipSpace();
      const int value = tree_.at(i).next;
      if (value < 0 || !Key(i, -1, true)) return false;
      extents_[i].after = extents_[i].begin;
      const size_t behind_key = at_;
      SkipSpace();
      if (Peek() == ':') {
        ++at_;
        if (!Value(value, -1, true)) return false;
      } else {
        at_ = behind_key;
        extents_[value] = {.begin = at_, .end = at_, .after = at_};
      }
      SkipSpace();
      if (Peek() == ',') ++at_;
      i = tree_.at(value).next;
    }
    return Close('}');
  }

  bool Close(char bracket) {
    SkipSpace();
    if (Peek() != bracket) return false;
    ++at_;
    return true;
  }

  absl::string_view text_;
  const Tree& tree_;
  std::vector<Extent> extents_;
  size_t at_ = 0;
};

}  // namespace

std::optional<std::vector<Extent>> Layout(absl::string_view text, const Tree& tree) {
  if (tree.empty()) return std::nullopt;
  Scanner scanner(text, tree);
  if (!scanner.Run()) return std::nullopt;
  return scanner.Take();
}

}  // namespace basalt::yaml
