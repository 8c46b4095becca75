#include "machineconfig/yaml/tree.h"

#include <algorithm>
#include <exception>
#include <istream>
#include <streambuf>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/yaml/syntax_help.h"
#include "machineconfig/yaml/text_check.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/mark.h"
#include "yaml-cpp/parser.h"

namespace basalt::yaml {
namespace {

// “ ” „ ‘ ’ ‚ «: what word processors and phones make of quotes.
bool BeginsWithTypographicQuote(absl::string_view text) {
  if (absl::StartsWith(text, "\xC2\xAB")) return true;
  return text.size() >= 3 && absl::StartsWith(text, "\xE2\x80") && text[2] >= '\x98' &&
         text[2] <= '\x9E';
}

// Thrown out of a callback to end the parse; never leaves this file.
struct Stop {};

// yaml-cpp turns a whole flow collection into tokens (some 240 bytes each) before it gives the
// first event of it, because a bracket may begin a key: no callback would see a megabyte of `[` in
// time.
constexpr int kMaxUnseen = 2 * kMaxNodes;

// Reads the text where it lies, slice by slice, and ends it when too many flow indicators go by
// without an event. (Such a text in one literal block ends too; a manifest has a fraction of them.)
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(absl::string_view text) : rest_(text) {}

  void OnEvent() { unseen_ = 0; }
  bool ended_early() const { return ended_early_; }
  int line() const { return line_; }

 protected:
  int_type underflow() override {
    ended_early_ = ended_early_ || unseen_ > kMaxUnseen;
    if (rest_.empty() || ended_early_) return traits_type::eof();
    constexpr size_t kSlice = 2048;
    const absl::string_view slice = rest_.substr(0, kSlice);
    rest_.remove_prefix(slice.size());
    for (char c : slice) {
      if (c == '[' || c == '{' || c == ',') ++unseen_;
      if (c == '\n') ++line_;
    }
    char* begin = const_cast<char*>(slice.data());
    setg(begin, begin, begin + slice.size());
    return traits_type::to_int_type(*begin);
  }

 private:
  absl::string_view rest_;
  int unseen_ = 0;
  int line_ = 1;
  bool ended_early_ = false;
};

class Builder : public YAML::EventHandler {
 public:
  Builder(absl::string_view text, absl::string_view file, ViewBuffer& buffer, Tree& tree,
          std::vector<api::Violation>& errors)
      : text_(text), file_(file), buffer_(buffer), tree_(tree), errors_(errors) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      Fail(mark, "several-documents", "the file holds more than one YAML document",
           "one file, one document; a stray comma or bracket also ends one");
    }
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(mark, anchor, NodeKind::kNull);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Report(mark, "alias", "aliases (*name) are not accepted",
           "write the value out; quote text that begins with `*`");
    tree_.nodes[Add(mark, 0, NodeKind::kNull)].broken = true;
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (value.size() > kMaxScalar) {
      Fail(mark, "scalar-too-long",
           absl::StrCat("a value of ", value.size(), " bytes; at most ", kMaxScalar,
                        " (256 KiB) are accepted"),
           "");
    }
    const bool plain = tag == "?";
    const int index = Add(mark, anchor, plain ? NodeKind::kPlain : NodeKind::kQuoted);
    Node& node = tree_.nodes[index];
    node.text = value;
    CheckTag(mark, tag, node);
    // Only an escape can bring in what CheckText has refused in the text itself.
    if (!plain && HasHiddenCharacter(value)) {
      Report(mark, "control-character", "the value holds an invisible or control character",
             "remove the escape");
      node.broken = true;
    }
    if (plain && BeginsWithTypographicQuote(value)) {
      Report(mark, "typographic-quote", "the text begins with a typographic quote",
             "YAML's quotes are \" and '; to keep this one put \" around the whole text");
      node.broken = true;
    }
    last_ = {.begin = mark.is_null() ? text_.size() : static_cast<size_t>(mark.pos),
             .size = value.size(),
             .plain = plain,
             .key = added_key_};
    if (tag == "!sealed") last_.begin = text_.find_first_not_of(" \n", last_.begin + tag.size());
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, NodeKind::kSequence);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, NodeKind::kMap);
  }
  void OnMapEnd() override { Close(); }

  // At its very end yaml-cpp is lenient: the end of the text closes a quote and stands for a colon.
  void CheckEnd() {
    if (last_.begin >= text_.size()) return;
    const absl::string_view before = text_.substr(0, last_.begin);
    YAML::Mark mark;
    mark.line = static_cast<int>(std::count(before.begin(), before.end(), '\n'));
    mark.column = static_cast<int>(last_.begin - (before.rfind('\n') + 1));
    if (!last_.plain && !QuoteIsClosed(text_, last_.begin)) {
      Fail(mark, "syntax", "not valid YAML: the quote that opens here is not closed", "close it");
    }
    const size_t end = last_.begin + last_.size;
    if (last_.plain && last_.key && text_.find_first_of(":}]", end) == absl::string_view::npos) {
      Fail(mark, "syntax", "not valid YAML: the line has no `: `", "write KEY: VALUE");
    }
  }

  // yaml-cpp's own complaint, in words that help.
  void ReportSyntax(const YAML::Exception& e) {
    if (e.mark.is_null()) {
      return Report(e.mark, "syntax", absl::StrCat("not valid YAML: ", e.msg), "");
    }
    const SyntaxHelp help = ExplainSyntax(text_, e.mark.line + 1, e.mark.column + 1, e.msg);
    YAML::Mark mark;
    mark.line = help.line - 1;
    mark.column = help.column - 1;
    Report(mark, "syntax", absl::StrCat("not valid YAML: ", help.message), help.hint);
  }

  void Report(const YAML::Mark& mark, absl::string_view reason, absl::string_view message,
              absl::string_view hint) {
    if (errors_.size() >= kMaxErrors) return;
    errors_.push_back({.reason = std::string(reason),
                       .file = std::string(file_),
                       .line = mark.is_null() ? 0 : mark.line + 1,
                       .column = mark.is_null() ? 0 : mark.column + 1,
                       .message = std::string(message),
                       .hint = std::string(hint)});
  }

 private:
  [[noreturn]] void Fail(const YAML::Mark& mark, absl::string_view reason,
                         absl::string_view message, absl::string_view hint) {
    Report(mark, reason, message, hint);
    throw Stop{};
  }

  int Add(const YAML::Mark& mark, YAML::anchor_t anchor, NodeKind kind) {
    buffer_.OnEvent();
    if (tree_.nodes.size() >= kMaxNodes) {
      Fail(mark, "too-many-nodes", absl::StrCat("more than ", kMaxNodes, " values and keys"), "");
    }
    if (anchor != 0) {
      Report(mark, "anchor", "anchors (&name) are not accepted",
             "remove it; quote text that begins with `&`");
    }
    const int index = static_cast<int>(tree_.nodes.size());
    Node& node = tree_.nodes.emplace_back();
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    if (!open_.empty()) {
      Level& level = open_.back();
      if (level.last < 0) {
        tree_.nodes[level.node].first_child = index;
      } else {
        tree_.nodes[level.last].next = index;
      }
      level.last = index;
      Node& parent = tree_.nodes[level.node];
      added_key_ = parent.kind == NodeKind::kMap && parent.children % 2 == 0;
      ++parent.children;
      if (added_key_ && kind != NodeKind::kPlain && kind != NodeKind::kQuoted) {
        const size_t at = static_cast<size_t>(mark.pos);
        if (at > 0 && at < text_.size() && text_.substr(at - 1, 2) == "{{") {
          Fail(mark, "key-not-text", "`{{` belongs to a template language",
               "render the template first; nothing is filled in here");
        }
        Fail(mark, "key-not-text",
             "a key must be a word, not null, a list or a map; or a bracket is not closed",
             "quote it, or check the brackets and colons from this line on");
      }
    }
    return index;
  }

  void CheckTag(const YAML::Mark& mark, const std::string& tag, Node& node) {
    if (tag == "?" || tag.empty()) return;
    if (tag == "!") {
      // Quoted, or the tag "!" itself, which yaml-cpp reports in the same way.
      const size_t at = static_cast<size_t>(mark.pos);
      if (mark.pos < 0 || at >= text_.size() || text_[at] != '!') return;
    } else if (tag == "!sealed" && node.scalar()) {
      node.sealed = true;
      return;
    }
    Report(mark, "tag", absl::StrCat("the tag `", tag.substr(0, 64), "` is not accepted"),
           "the one tag is !sealed, on the text of a secret; quote text that begins with `!`");
    node.broken = true;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, NodeKind kind) {
    if (open_.size() >= kMaxDepth) {
      Fail(mark, "too-deep", absl::StrCat("more than ", kMaxDepth, " levels of nesting"), "");
    }
    const int index = Add(mark, anchor, kind);
    CheckTag(mark, tag, tree_.nodes[index]);
    open_.push_back({.node = index});
  }
  void Close() { open_.pop_back(); }

  struct Level {
    int node = 0;
    int last = -1;
  };

  absl::string_view text_;
  absl::string_view file_;
  ViewBuffer& buffer_;
  Tree& tree_;
  std::vector<api::Violation>& errors_;
  std::vector<Level> open_;
  bool added_key_ = false;  // whether the last Add() was of a map key
  struct LastScalar {
    size_t begin = absl::string_view::npos;
    size_t size = 0;
    bool plain = false;
    bool key = false;
  } last_;
  int documents_ = 0;
};

}  // namespace

Tree ParseTree(absl::string_view text, absl::string_view file,
               std::vector<api::Violation>& errors) {
  Tree tree;
  const size_t before = errors.size();
  CheckText(text, file, errors);
  if (errors.size() != before) return tree;

  tree.nodes.reserve(text.size() / 12 + 16 < kMaxNodes ? text.size() / 12 + 16 : kMaxNodes);
  ViewBuffer buffer(text);
  Builder builder(text, file, buffer, tree, errors);
  try {
    std::istream in(&buffer);
    YAML::Parser parser(in);
    // Two turns at most: a turn may consume nothing, so a loop until the end would not end.
    if (parser.HandleNextDocument(builder)) parser.HandleNextDocument(builder);
    if (!buffer.ended_early()) {
      builder.CheckEnd();
      return tree;
    }
  } catch (const Stop&) {
  } catch (const YAML::Exception& e) {
    builder.ReportSyntax(e);
  } catch (const std::exception& e) {
    builder.Report(YAML::Mark::null_mark(), "syntax", absl::StrCat("not valid YAML: ", e.what()),
                   "");
  }
  if (buffer.ended_early()) {
    // Whatever was said about the cut text is not true of the whole one.
    errors.resize(before);
    errors.push_back({.reason = "too-many-nodes",
                      .file = std::string(file),
                      .line = buffer.line(),
                      .column = 1,
                      .message = absl::StrCat("more than ", kMaxUnseen,
                                              " brackets and commas in one collection")});
  }
  return Tree{};
}

}  // namespace basalt::yaml
