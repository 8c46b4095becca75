#include "client/commands/secret_edit.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "basalt/v1/machine_config.pb.h"
#include "client/commands/inputs.h"
#include "google/protobuf/util/message_differencer.h"
#include "machineconfig/merge/set_path.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::client {
namespace {

using Lines = std::vector<std::string>;

// The last name of a path; a key in brackets may hold dots.
size_t LastDot(absl::string_view path) {
  const size_t dot = path.rfind('.');
  return dot != path.npos && path.find(']', dot) == path.npos ? dot : path.npos;
}

void SecretPatterns(const schema::MessageInfo& info, const std::string& path, Lines& out) {
  for (const schema::FieldInfo& field : info.fields) {
    const std::string child =
        absl::StrCat(schema::Child(path, field.name), field.repeated ? "[]" : "");
    if (field.kind == schema::FieldKind::kSecret) out.push_back(child);
    if (field.kind == schema::FieldKind::kMessage) SecretPatterns(*field.message, child, out);
  }
}

// "a[key].b" as "a[].b".
std::string PatternOf(absl::string_view path) {
  std::string out;
  bool inside = false, escaped = false;
  for (char c : path) {
    if (inside && !escaped && c == '\\') {
      escaped = true;
      continue;
    }
    if (inside && !escaped && c == ']') inside = false;
    if (!inside) out += c;
    if (!inside && c == '[') inside = true;
    escaped = false;
  }
  return out;
}

size_t IndentOf(absl::string_view line) {
  const size_t at = line.find_first_not_of(' ');
  return at == line.npos ? line.size() : at;
}

bool IsEmpty(absl::string_view line) { return IndentOf(line) == line.size(); }

// Deeper than a key at `indent`, or an element of its list that stands in the key's own column.
bool IsBelow(absl::string_view line, size_t indent) {
  return IndentOf(line) > indent ||
         (IndentOf(line) == indent && absl::StartsWith(line.substr(indent), "- "));
}

// One past the last line of what belongs to the key in line `start`. `literal`: within a block or a
// quoted text, where a line that begins with `#` is no comment but part of the secret.
size_t End(const Lines& lines, size_t start, size_t indent, bool literal) {
  size_t end = start + 1;
  for (size_t i = start + 1; i < lines.size(); ++i) {
    if (IsEmpty(lines[i])) continue;
    if (!IsBelow(lines[i], indent)) break;
    if (!literal && lines[i][IndentOf(lines[i])] == '#') continue;
    end = i + 1;
  }
  return end;
}

// What stands behind `key:`, as far as it has to be known to leave no part of a secret behind.
struct OldValue {
  bool literal = false;  // lines below belong to it whatever they begin with
  bool ended = false;    // nothing below belongs to it
  std::string comment;   // of its first line
};

std::string CommentIn(absl::string_view rest) {
  const size_t hash = rest.find('#');
  const bool is_comment = hash != rest.npos && (hash == 0 || rest[hash - 1] == ' ') &&
                          absl::StripAsciiWhitespace(rest.substr(0, hash)).empty();
  return is_comment ? std::string(rest.substr(hash)) : "";
}

OldValue ReadOld(absl::string_view rest) {
  rest = absl::StripLeadingAsciiWhitespace(rest);
  if (absl::ConsumePrefix(&rest, "!sealed")) rest = absl::StripLeadingAsciiWhitespace(rest);
  if (rest.empty() || rest[0] == '#') return {.comment = CommentIn(rest)};
  if (rest[0] == '|' || rest[0] == '>') {
    const size_t space = rest.find(' ');
    return {.literal = true, .comment = space == rest.npos ? "" : CommentIn(rest.substr(space))};
  }
  if (rest[0] == '"' || rest[0] == '\'') {
    for (size_t i = 1; i < rest.size(); ++i) {
      if (rest[0] == '"' && rest[i] == '\\') {
        ++i;
      } else if (rest[i] == rest[0]) {
        if (rest[0] == '\'' && i + 1 < rest.size() && rest[i + 1] == '\'') {
          ++i;
          continue;
        }
        return {.ended = true, .comment = CommentIn(rest.substr(i + 1))};
      }
    }
    return {.literal = true};  // it ends on a later line
  }
  const size_t hash = rest.find(" #");
  return {.comment = hash == rest.npos ? "" : std::string(rest.substr(hash + 1))};
}

Lines Block(absl::string_view before, absl::string_view name, absl::string_view comment,
            absl::string_view armored) {
  Lines out = {absl::StrCat(before, name, ": !sealed |", comment.empty() ? "" : " ", comment)};
  const std::string pad(before.size() + 2, ' ');
  for (absl::string_view line : absl::StrSplit(absl::StripTrailingAsciiWhitespace(armored), '\n')) {
    out.push_back(absl::StrCat(pad, line));
  }
  return out;
}

class Editor {
 public:
  Editor(absl::string_view text, const yaml::SourceMap& source, absl::string_view path,
         absl::string_view armored)
      : lines_(absl::StrSplit(text, '\n')), source_(source), path_(path), armored_(armored) {
    if (!lines_.back().empty()) lines_.emplace_back();  // the last line is ended too
    const size_t dot = LastDot(path);
    parent_ = std::string(path.substr(0, dot));
    name_ = std::string(path.substr(dot + 1));
  }

  // False when it cannot; nothing is promised of the lines then.
  bool Run() {
    auto at = source_.find(path_);
    return at == source_.end() ? Insert() : Replace(at->second);
  }
  std::string Text() const { return absl::StrJoin(lines_, "\n"); }
  const std::string& parent() const { return parent_; }
  const std::string& name() const { return name_; }

 private:
  // True when `at` is a key that stands alone at the beginning of its line, but for `- `.
  bool IsBlockKey(const yaml::Position& at, absl::string_view name, size_t& line,
                  absl::string_view& rest) const {
    line = static_cast<size_t>(at.line - 1);
    if (line >= lines_.size()) return false;
    const absl::string_view all = lines_[line];
    const size_t column = static_cast<size_t>(at.column - 1);
    if (column > all.size() ||
        all.substr(0, column).find_first_not_of(" -") != absl::string_view::npos) {
      return false;
    }
    rest = all.substr(column);
    return absl::ConsumePrefix(&rest, name) && absl::ConsumePrefix(&rest, ":");
  }

  bool Replace(const yaml::Position& at) {
    size_t line = 0;
    absl::string_view rest;
    if (!IsBlockKey(at, name_, line, rest)) return false;
    const size_t indent = static_cast<size_t>(at.column - 1);
    const OldValue old = ReadOld(rest);
    const size_t end = old.ended ? line + 1 : End(lines_, line, indent, old.literal);
    const Lines block = Block(lines_[line].substr(0, indent), name_, old.comment, armored_);
    lines_.erase(lines_.begin() + static_cast<ptrdiff_t>(line),
                 lines_.begin() + static_cast<ptrdiff_t>(end));
    lines_.insert(lines_.begin() + static_cast<ptrdiff_t>(line), block.begin(), block.end());
    return true;
  }

  // Behind the last field of the section, in its column.
  bool Insert() {
    const yaml::Position* last = nullptr;
    std::string last_name;
    for (const auto& [path, position] : source_) {
      const size_t dot = LastDot(path);
      if (dot == path.npos || path.substr(0, dot) != parent_ || path.back() == ']') continue;
      if (last != nullptr && position.line <= last->line) continue;
      last = &position;
      last_name = path.substr(dot + 1);
    }
    size_t line = 0;
    absl::string_view rest;
    if (last == nullptr || !IsBlockKey(*last, last_name, line, rest)) return false;
    const size_t indent = static_cast<size_t>(last->column - 1);
    const Lines block = Block(std::string(indent, ' '), name_, "", armored_);
    lines_.insert(lines_.begin() + static_cast<ptrdiff_t>(End(lines_, line, indent, true)),
                  block.begin(), block.end());
    return true;
  }

  Lines lines_;
  const yaml::SourceMap& source_;
  std::string path_, parent_, name_;
  absl::string_view armored_;
};

}  // namespace

absl::Status CheckSecretPath(absl::string_view path) {
  static const Lines* const patterns = [] {
    auto* made = new Lines();
    SecretPatterns(schema::Describe(v1::MachineConfig::descriptor()), "", *made);
    return made;
  }();
  const std::string pattern = PatternOf(path);
  std::vector<absl::string_view> known;
  for (const std::string& one : *patterns) {
    if (one == pattern) return absl::OkStatus();
    known.push_back(one);
  }
  const std::string near = schema::Nearest(pattern, known);
  return api::Coded(absl::StatusCode::kInvalidArgument, "not-a-secret",
                    absl::StrCat("`", path, "` is no secret of a machine config"),
                    near.empty() ? absl::StrCat("secrets: ", absl::StrJoin(known, ", "))
                                 : absl::StrCat("did you mean `", near, "`?"));
}

absl::StatusOr<std::string> EditSecret(absl::string_view text, const std::string& file,
                                       const std::string& path, absl::string_view armored) {
  if (absl::Status s = CheckSecretPath(path); !s.ok()) return s;
  v1::MachineConfig before, after;
  yaml::DecodeResult read = yaml::Decode(text, file, before);
  if (!read.ok()) return api::Invalid(read.errors);
  v1::MachineConfig wanted = before;
  if (absl::Status s = merge::SetPath(absl::StrCat(path, "=x"), wanted); !s.ok()) {
    return api::Coded(s.code(), api::Reason(s), absl::StripPrefix(s.message(), "--set "),
                      api::Hint(s));
  }
  schema::VisitSecrets(wanted, [&](const std::string& at, v1::Secret& secret) {
    if (at == path) secret.set_sealed(std::string(armored));
  });
  Editor editor(text, read.source, path, armored);
  if (editor.Run() && yaml::Decode(editor.Text(), file, after).ok() &&
      google::protobuf::util::MessageDifferencer::Equals(after, wanted)) {
    return editor.Text();
  }
  return api::Coded(
      absl::StatusCode::kFailedPrecondition, "cannot-edit",
      absl::StrCat(file, " is written in a way that cannot be edited in place, or has no `",
                   editor.parent(), "`; nothing was changed"),
      absl::StrCat("write this below `", editor.parent(), ":` yourself:\n",
                   absl::StrJoin(Block("  ", editor.name(), "", armored), "\n")));
}

}  // namespace basalt::client
