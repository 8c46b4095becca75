#include "machineconfig/format/udev.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace basalt::format {
namespace {

constexpr size_t kMaxFaults = 20;
constexpr size_t kMaxLink = 128;

struct Key {
  const char* name;
  bool attribute;  // wants {NAME}
  bool match, assign;
};
constexpr Key kKeys[] = {
    {"KERNEL", false, true, false},  {"SUBSYSTEM", false, true, false},
    {"DRIVER", false, true, false},  {"ATTR", true, true, false},
    {"KERNELS", false, true, false}, {"SUBSYSTEMS", false, true, false},
    {"DRIVERS", false, true, false}, {"ATTRS", true, true, false},
    {"DEVPATH", false, true, false}, {"ACTION", false, true, false},
    {"ENV", true, true, true},       {"SYMLINK", false, false, true},
    {"MODE", false, false, true},    {"OWNER", false, false, true},
    {"GROUP", false, false, true},   {"TAG", false, false, true},
};

struct Refused {
  const char* name;
  const char* why;
};
constexpr Refused kRefused[] = {
    {"RUN", "starts a program, and the image has none for it"},
    {"PROGRAM", "starts a program, and the image has none for it"},
    {"RESULT", "is of PROGRAM, which is refused"},
    {"IMPORT", "reads what programs and files say; write the match itself"},
    {"NAME", "renames a network interface; network.interfaces does that"},
    {"GOTO", "jumps: write the match into each line that wants it"},
    {"LABEL", "is where GOTO jumps to"},
    {"OPTIONS", "is about udevd itself, which is not here"},
    {"SYSCTL", "is of system.kernel.sysctls"},
    {"SECLABEL", "is of security modules that the image does not have"},
};

class Parser {
 public:
  Parser(absl::string_view text, int line, UdevRules* out) : rest_(text), line_(line), out_(*out) {}

  void Parse() {
    UdevLine line = {.line = line_};
    while (true) {
      Blank();
      if (rest_.empty()) break;
      UdevTerm term;
      if (!Term(&term)) return;
      line.terms.push_back(std::move(term));
    }
    const bool assigns = std::any_of(line.terms.begin(), line.terms.end(),
                                     [](const UdevTerm& term) { return !term.matches(); });
    const bool matches = std::any_of(line.terms.begin(), line.terms.end(),
                                     [](const UdevTerm& term) { return term.matches(); });
    if (!assigns)
      return Fault("the line changes nothing: SYMLINK+=, MODE=, OWNER=, GROUP=, ENV{}=");
    if (!matches) return Fault("the line is of every device: a match such as KERNEL== is missing");
    out_.lines.push_back(std::move(line));
  }

 private:
  void Blank() {
    while (!rest_.empty() && (absl::ascii_isspace(rest_[0]) || rest_[0] == ',')) {
      rest_.remove_prefix(1);
    }
  }
  void Fault(std::string message) {
    if (out_.faults.size() < kMaxFaults) out_.faults.push_back({line_, std::move(message)});
  }
  bool Fail(std::string message) {
    Fault(std::move(message));
    return false;
  }

  bool Term(UdevTerm* term) {
    size_t size = 0;
    while (size < rest_.size() && (absl::ascii_isupper(rest_[size]) || rest_[size] == '_')) ++size;
    term->key = std::string(rest_.substr(0, size));
    if (size == 0) return Fail(absl::StrCat("a key is missing before `", Near(), "`"));
    rest_.remove_prefix(size);
    if (!rest_.empty() && rest_[0] == '{') {
      const size_t end = rest_.find('}');
      if (end == absl::string_view::npos) {
        return Fail(absl::StrCat(term->key, "{ has no closing brace"));
      }
      term->attribute = std::string(rest_.substr(1, end - 1));
      rest_.remove_prefix(end + 1);
    }
    while (!rest_.empty() && absl::ascii_isspace(rest_[0])) rest_.remove_prefix(1);
    bool final = false;
    if (absl::ConsumePrefix(&rest_, "==")) {
      term->op = UdevTerm::Op::kEqual;
    } else if (absl::ConsumePrefix(&rest_, "!=")) {
      term->op = UdevTerm::Op::kDiffers;
    } else if (absl::ConsumePrefix(&rest_, "+=")) {
      term->op = UdevTerm::Op::kAdd;
    } else if ((final = absl::ConsumePrefix(&rest_, ":=")) || absl::ConsumePrefix(&rest_, "=")) {
      term->op = UdevTerm::Op::kAssign;
    } else {
      return Fail(absl::StrCat(term->key, ": ==, !=, = or += is missing"));
    }
    while (!rest_.empty() && absl::ascii_isspace(rest_[0])) rest_.remove_prefix(1);
    if (!Value(term)) return false;
    return Check(*term);
  }

  bool Value(UdevTerm* term) {
    if (rest_.empty() || rest_[0] != '"') {
      return Fail(absl::StrCat(term->key, ": the value stands in double quotes"));
    }
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_[0] != '"') {
      if (rest_[0] == '\\' && rest_.size() > 1 && (rest_[1] == '"' || rest_[1] == '\\')) {
        rest_.remove_prefix(1);
      }
      if (static_cast<unsigned char>(rest_[0]) < 0x20) {
        return Fail(absl::StrCat(term->key, ": a control character in the value"));
      }
      term->value.push_back(rest_[0]);
      rest_.remove_prefix(1);
    }
    if (rest_.empty()) return Fail(absl::StrCat(term->key, ": the closing quote is missing"));
    rest_.remove_prefix(1);
    return true;
  }

  bool Check(const UdevTerm& term) {
    for (const Refused& refused : kRefused) {
      if (term.key == refused.name) {
        return Fail(absl::StrCat("`", term.key, "` ", refused.why));
      }
    }
    const Key* key = nullptr;
    for (const Key& one : kKeys) {
      if (term.key == one.name) key = &one;
    }
    if (key == nullptr) return Fail(absl::StrCat("`", term.key, "` is no key that is known here"));
    if (key->attribute == term.attribute.empty()) {
      return Fail(absl::StrCat(
          "`", term.key,
          key->attribute ? "` wants a name in braces: {...}" : "` takes no name in braces"));
    }
    if (term.matches() ? !key->match : !key->assign) {
      return Fail(absl::StrCat(
          "`", term.key,
          term.matches() ? "` is set, not compared: = or +=" : "` is compared, not set: == or !="));
    }
    if ((key->name == std::string("ATTR") || key->name == std::string("ATTRS")) &&
        (absl::StrContains(term.attribute, "..") || term.attribute[0] == '/' ||
         absl::StrContains(term.attribute, '\0'))) {
      return Fail(absl::StrCat(term.key, "{", term.attribute, "} leads out of the device"));
    }
    if (term.key == "MODE") {
      if (term.value.empty() || term.value.size() > 4 ||
          !std::all_of(term.value.begin(), term.value.end(),
                       [](char c) { return c >= '0' && c <= '7'; }) ||
          (term.value.size() == 4 && term.value[0] != '0')) {
        return Fail("MODE is three octal digits, such as \"0660\"");
      }
    }
    if (term.key == "OWNER" || term.key == "GROUP") {
      uint32_t id = 0;
      if (term.value != "root" && !absl::SimpleAtoi(term.value, &id)) {
        return Fail(
            absl::StrCat(term.key, " is a number here: the image has no groups of devices"));
      }
    }
    return true;
  }

  std::string Near() const { return std::string(rest_.substr(0, 12)); }

  absl::string_view rest_;
  const int line_;
  UdevRules& out_;
};

// `pattern` without alternatives.
bool Glob(absl::string_view p, absl::string_view t) {
  size_t pi = 0, ti = 0, star = absl::string_view::npos, from = 0;
  // The class that begins at `at`: where it ends, and whether `c` is in it; 0: no class.
  auto in_class = [&p](size_t at, char c, bool* in) -> size_t {
    size_t i = at + 1;
    const bool negated = i < p.size() && (p[i] == '!' || p[i] == '^');
    if (negated) ++i;
    bool found = false;
    for (bool first = true; i < p.size() && (first || p[i] != ']'); first = false) {
      if (i + 2 < p.size() && p[i + 1] == '-' && p[i + 2] != ']') {
        found |= p[i] <= c && c <= p[i + 2];
        i += 3;
      } else {
        found |= p[i++] == c;
      }
    }
    if (i >= p.size()) return 0;
    *in = found != negated;
    return i + 1;
  };
  while (ti < t.size()) {
    bool in = false;
    size_t next = 0;
    if (pi < p.size() && p[pi] == '*') {
      star = pi++;
      from = ti;
      continue;
    }
    if (pi < p.size() && p[pi] == '[') {
      next = in_class(pi, t[ti], &in);
      if (next == 0) {
        in = t[ti] == '[';
        next = pi + 1;
      }
    } else if (pi < p.size()) {
      in = p[pi] == '?' || p[pi] == t[ti];
      next = pi + 1;
    }
    if (in) {
      pi = next;
      ++ti;
    } else if (star != absl::string_view::npos) {
      pi = star + 1;
      ti = ++from;
    } else {
      return false;
    }
  }
  while (pi < p.size() && p[pi] == '*') ++pi;
  return pi == p.size();
}

}  // namespace

UdevRules ParseUdevRules(absl::string_view text) {
  UdevRules out;
  int number = 0, begin = 0;
  std::string line;
  for (absl::string_view part : absl::StrSplit(text, '\n')) {
    ++number;
    if (line.empty()) begin = number;
    // A line that ends in a backslash goes on in the next.
    const bool comment =
        line.empty() && absl::StartsWith(absl::StripLeadingAsciiWhitespace(part), "#");
    if (comment) continue;
    if (absl::ConsumeSuffix(&part, "\\")) {
      absl::StrAppend(&line, part, " ");
      continue;
    }
    absl::StrAppend(&line, part);
    if (!absl::StripAsciiWhitespace(line).empty()) Parser(line, begin, &out).Parse();
    line.clear();
  }
  if (!absl::StripAsciiWhitespace(line).empty()) Parser(line, begin, &out).Parse();
  return out;
}

bool UdevMatches(absl::string_view pattern, absl::string_view text) {
  for (absl::string_view one : absl::StrSplit(pattern, '|')) {
    if (Glob(one, text)) return true;
  }
  return false;
}

bool IsDeviceLink(absl::string_view name) {
  if (name.empty() || name.size() > kMaxLink || name[0] == '/') return false;
  for (absl::string_view part : absl::StrSplit(name, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("#+-.:=@_/", c);
  });
}

}  // namespace basalt::format
