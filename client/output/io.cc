#include "client/output/io.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"

namespace basalt::client {
namespace {

std::string Paint(const Io& io, absl::string_view code, absl::string_view text) {
  if (!io.color) return std::string(text);
  return absl::StrCat("\x1b[", code, "m", text, "\x1b[0m");
}

// The length of the UTF-8 sequence at the start of `text` and its code point; 0 when it is none
// (cut off, overlong, a surrogate).
int DecodeUtf8(absl::string_view text, uint32_t& point) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  int length = first < 0x80                    ? 1
               : first >= 0xc2 && first < 0xe0 ? 2
               : (first & 0xf0) == 0xe0        ? 3
               : first >= 0xf0 && first < 0xf5 ? 4
                                               : 0;
  if (length == 0 || text.size() < static_cast<size_t>(length)) return 0;
  if (length == 1) {
    point = first;
    return 1;
  }
  point = first & (0xff >> (length + 1));
  for (int i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    point = (point << 6) | (byte(i) & 0x3f);
  }
  if ((length == 3 && point < 0x800) || (length == 4 && point < 0x10000) || point > 0x10ffff ||
      (point >= 0xd800 && point < 0xe000)) {
    return 0;
  }
  return length;
}

bool Hidden(uint32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0xad || point == 0x61c ||
         (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
         (point >= 0x2060 && point <= 0x206f) || point == 0xfeff ||
         (point >= 0xfff9 && point <= 0xfffb) || (point >= 0xe0000 && point <= 0xe007f);
}

}  // namespace

absl::StatusOr<Format> ParseFormat(absl::string_view word,
                                   const std::vector<std::string>& allowed) {
  if (word.empty()) return Format::kTable;
  if (std::find(allowed.begin(), allowed.end(), word) == allowed.end()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-output",
                      absl::StrCat("'", word, "' is no output format of this verb"),
                      absl::StrCat("one of ", absl::StrJoin(allowed, ", ")));
  }
  if (word == "wide") return Format::kWide;
  if (word == "json") return Format::kJson;
  if (word == "yaml") return Format::kYaml;
  if (word == "name") return Format::kName;
  return Format::kTable;
}

Io StandardIo() {
  Io io{std::cout, std::cerr};
  io.out_terminal = isatty(STDOUT_FILENO) == 1;
  io.err_terminal = isatty(STDERR_FILENO) == 1;
  io.in_terminal = isatty(STDIN_FILENO) == 1 && io.err_terminal;
  const char* no_color = getenv("NO_COLOR");
  const char* term = getenv("TERM");
  io.color = io.out_terminal && io.err_terminal && (no_color == nullptr || *no_color == '\0') &&
             (term == nullptr || absl::string_view(term) != "dumb");
  io.read_line = [] {
    std::string line;
    std::getline(std::cin, line);
    return line;
  };
  return io;
}

std::string Escape(absl::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    uint32_t point = 0;
    int length = DecodeUtf8(text, point);
    if (length == 0) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<uint8_t>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    bool stays = (point == '\n' && keep_lines) || point == '\t';
    if (!stays && Hidden(point)) {
      if (point < 0x100) {
        absl::StrAppendFormat(&out, "\\x%02x", point);
      } else {
        absl::StrAppendFormat(&out, "\\u{%04x}", point);
      }
    } else {
      absl::StrAppend(&out, text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string EscapeYaml(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    uint32_t point = 0;
    int length = DecodeUtf8(text, point);
    if (length == 0) {
      out += "\\uFFFD";
      length = 1;
    } else if (Hidden(point)) {
      if (point < 0x10000) {
        absl::StrAppendFormat(&out, "\\u%04X", point);
      } else {
        absl::StrAppendFormat(&out, "\\U%08X", point);
      }
    } else {
      absl::StrAppend(&out, text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string Bold(const Io& io, absl::string_view text) { return Paint(io, "1", text); }
std::string Dim(const Io& io, absl::string_view text) { return Paint(io, "2", text); }
std::string Red(const Io& io, absl::string_view text) { return Paint(io, "31", text); }
std::string Green(const Io& io, absl::string_view text) { return Paint(io, "32", text); }
std::string Yellow(const Io& io, absl::string_view text) { return Paint(io, "33", text); }

absl::Status Confirm(Io& io, const std::string& question, bool yes) {
  if (yes) return absl::OkStatus();
  if (!io.in_terminal || !io.read_line) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "needs-yes",
                      absl::StrCat("nobody is there to answer: ", question),
                      "give --yes when this is what you want");
  }
  io.err << Bold(io, question) << " [y/N] " << std::flush;
  std::string answer = absl::AsciiStrToLower(absl::StripAsciiWhitespace(io.read_line()));
  if (answer == "y" || answer == "yes") return absl::OkStatus();
  return api::Coded(absl::StatusCode::kCancelled, "declined", "nothing was done");
}

}  // namespace basalt::client
