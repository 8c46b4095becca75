#include "machineconfig/yaml/text_check.h"

#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace basalt::yaml {
namespace {

// Length of the well-formed UTF-8 sequence at `text` (RFC 3629: no surrogates, no overlong forms),
// 0 when it is not one.
int DecodeUtf8(absl::string_view text, uint32_t& out) {
  auto byte = [&](size_t i) -> uint32_t {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : 0;
  };
  auto tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const uint32_t b = byte(0);
  if (b < 0x80) {
    out = b;
    return 1;
  }
  if (b >= 0xC2 && b <= 0xDF && tail(1)) {
    out = (b & 0x1F) << 6 | (byte(1) & 0x3F);
    return 2;
  }
  if (b >= 0xE0 && b <= 0xEF && tail(1) && tail(2)) {
    out = (b & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    return out < 0x800 || (out >= 0xD800 && out <= 0xDFFF) ? 0 : 3;
  }
  if (b >= 0xF0 && b <= 0xF4 && tail(1) && tail(2) && tail(3)) {
    out = (b & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    return out < 0x10000 || out > 0x10FFFF ? 0 : 4;
  }
  return 0;
}

bool IsHidden(uint32_t c) {
  return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c <= 0x9F) ||  // C0, DEL, C1
         c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||  // bidi
         (c >= 0x2066 && c <= 0x2069) ||                                               // bidi
         c == 0x200B || c == 0x2028 || c == 0x2029 || c == 0x2060 || c == 0xFEFF ||    // invisible
         c == 0xFFFE || c == 0xFFFF;
}

class Checker {
 public:
  Checker(absl::string_view text, absl::string_view file, std::vector<api::Violation>& errors)
      : text_(text), file_(file), errors_(errors) {}

  void Run() {
    if (absl::StartsWith(text_, "\xEF\xBB\xBF") || absl::StartsWith(text_, "\xFE\xFF") ||
        absl::StartsWith(text_, "\xFF\xFE")) {
      Add(0, "byte-order-mark", "the file starts with a byte order mark",
          "save it as UTF-8 without a BOM");
      return;
    }
    bool carriage_return = false;
    bool prologue = true;  // only blank lines and comments so far
    for (size_t i = 0; i < text_.size() && errors_.size() < kMaxErrors;) {
      const char c = text_[i];
      if (i == line_start_) {
        if (c == '\t' && !BlankLine(i)) {
          Add(i, "tab-indent", "a tab indents this line", "YAML is indented with spaces");
        }
        if (prologue && c == '%') {
          Add(i, "directive", "YAML directives (%YAML, %TAG) are not accepted", "remove the line");
        }
        if (c != '#' && c != '\n' && c != ' ' && c != '%') prologue = false;
      }
      if (c == '\n') {
        ++line_;
        line_start_ = ++i;
        continue;
      }
      if (c >= 0x20 && c < 0x7F) {
        ++i;
        continue;
      }
      if (c == '\r') {
        if (!carriage_return) {
          Add(i, "carriage-return", "a line ends with a carriage return (Windows line ends)",
              "convert the file to LF line ends");
        }
        carriage_return = true;
        ++i;
        continue;
      }
      uint32_t code = 0;
      const int length = DecodeUtf8(text_.substr(i, 4), code);
      if (length == 0) {
        Add(i, "invalid-utf8",
            absl::StrFormat("byte 0x%02x is not valid UTF-8", static_cast<uint8_t>(c)),
            "save the file as UTF-8");
        ++i;
        continue;
      }
      if (IsHidden(code)) {
        Add(i, "control-character",
            absl::StrFormat("the invisible or control character U+%04X is not allowed", code),
            "remove it");
      }
      i += length;
    }
  }

 private:
  bool BlankLine(size_t i) const {
    while (i < text_.size() && (text_[i] == '\t' || text_[i] == ' ')) ++i;
    return i == text_.size() || text_[i] == '\n' || text_[i] == '\r';
  }
  void Add(size_t at, absl::string_view reason, std::string message, absl::string_view hint) {
    errors_.push_back({.reason = std::string(reason),
                       .file = std::string(file_),
                       .line = line_,
                       .column = static_cast<int>(at - line_start_) + 1,
                       .message = std::move(message),
                       .hint = std::string(hint)});
  }

  absl::string_view text_;
  absl::string_view file_;
  std::vector<api::Violation>& errors_;
  int line_ = 1;
  size_t line_start_ = 0;
};

}  // namespace

void CheckText(absl::string_view text, absl::string_view file,
               std::vector<api::Violation>& errors) {
  if (text.size() > kMaxBytes) {
    errors.push_back({.reason = "too-large",
                      .file = std::string(file),
                      .message = absl::StrCat("the document has ", text.size(), " bytes; at most ",
                                              kMaxBytes, " (1 MiB) are accepted")});
    return;
  }
  Checker(text, file, errors).Run();
}

bool HasHiddenCharacter(absl::string_view value) {
  for (size_t i = 0; i < value.size();) {
    const unsigned char c = value[i];
    if (c >= 0x20 && c < 0x7F) {
      ++i;
      continue;
    }
    uint32_t code = 0;
    const int length = DecodeUtf8(value.substr(i, 4), code);
    if (length == 0 || IsHidden(code)) return true;
    i += length;
  }
  return false;
}

}  // namespace basalt::yaml
