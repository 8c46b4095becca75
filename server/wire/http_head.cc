#include "server/wire/http_head.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace basalt::wire {
namespace {

constexpr size_t kMaxValue = 2048;

std::string Printable(absl::string_view value) {
  std::string out;
  for (char c : value.substr(0, kMaxValue)) {
    if (c >= 0x20 && c < 0x7F) out.push_back(c);
  }
  return out;
}

}  // namespace

std::optional<HttpHead> ParseHttpHead(absl::string_view text, bool* bad) {
  *bad = true;
  const absl::string_view start = absl::string_view("HTTP/1.").substr(0, text.size());
  if (!absl::StartsWith(text, start)) return std::nullopt;
  const size_t end = text.find("\r\n\r\n");
  if (end == absl::string_view::npos || end + 4 > kMaxHead) {
    *bad = text.size() >= kMaxHead || end != absl::string_view::npos;
    return std::nullopt;
  }
  HttpHead head;
  head.size = end + 4;
  absl::string_view rest = text.substr(0, end);
  size_t line_end = std::min(rest.find("\r\n"), rest.size());
  const absl::string_view status = rest.substr(0, line_end);
  // "HTTP/1.1 200 OK"
  if (status.size() < 12 || status[8] != ' ' || (status.size() > 12 && status[12] != ' ') ||
      !absl::ascii_isdigit(status[9]) || !absl::SimpleAtoi(status.substr(9, 3), &head.status) ||
      head.status < 100 || head.status > 599) {
    return std::nullopt;
  }
  bool close = status[7] == '0';
  while (line_end < rest.size()) {
    rest.remove_prefix(line_end + 2);
    line_end = std::min(rest.find("\r\n"), rest.size());
    const absl::string_view line = rest.substr(0, line_end);
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos) return std::nullopt;
    const std::string name = absl::AsciiStrToLower(line.substr(0, colon));
    const absl::string_view value = absl::StripAsciiWhitespace(line.substr(colon + 1));
    if (name == "content-length") {
      int64_t length = 0;
      // Two that differ: whoever reads it otherwise sees another end of the body.
      if (value.empty() || !absl::ascii_isdigit(value[0]) || !absl::SimpleAtoi(value, &length) ||
          (head.length >= 0 && head.length != length)) {
        return std::nullopt;
      }
      head.length = length;
    } else if (name == "transfer-encoding") {
      head.chunked = true;
    } else if (name == "connection") {
      close = close || absl::StrContains(absl::AsciiStrToLower(value), "close");
    } else if (name == "location") {
      head.location = Printable(value);
    } else if (name == "content-type") {
      head.type = Printable(value);
    }
  }
  if (head.status == 204 || head.status == 304) head.length = 0;
  head.keep_alive = !close && !head.chunked && head.length >= 0;
  *bad = false;
  return head;
}

}  // namespace basalt::wire
