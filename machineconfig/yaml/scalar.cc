#include "machineconfig/yaml/scalar.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace basalt::yaml {
namespace {

bool AllDigits(absl::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), absl::ascii_isdigit);
}

bool AnyOf(absl::string_view text, std::initializer_list<absl::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool IsFloat(absl::string_view s) {
  if (!absl::ConsumePrefix(&s, "-")) absl::ConsumePrefix(&s, "+");
  const size_t e = s.find_first_of("eE");
  if (e != absl::string_view::npos) {
    absl::string_view exponent = s.substr(e + 1);
    if (!absl::ConsumePrefix(&exponent, "-")) absl::ConsumePrefix(&exponent, "+");
    if (!AllDigits(exponent)) return false;
    s = s.substr(0, e);
  }
  const size_t dot = s.find('.');
  if (dot == absl::string_view::npos) return AllDigits(s);
  const absl::string_view whole = s.substr(0, dot);
  const absl::string_view part = s.substr(dot + 1);
  return (whole.empty() || AllDigits(whole)) && (part.empty() || AllDigits(part)) &&
         !(whole.empty() && part.empty());
}

}  // namespace

std::optional<bool> ParseBool(absl::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

bool IsWholeNumber(absl::string_view text) {
  absl::ConsumePrefix(&text, "-");
  return AllDigits(text) && (text.size() == 1 || text[0] != '0');
}

bool ReadsAsOther(absl::string_view text) {
  if (AnyOf(text, {"", "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False",
                   "FALSE", ".nan", ".NaN", ".NAN"})) {
    return true;
  }
  if (absl::StartsWith(text, "0x") || absl::StartsWith(text, "0o")) return true;
  absl::string_view unsigned_text = text;
  if (!absl::ConsumePrefix(&unsigned_text, "-")) absl::ConsumePrefix(&unsigned_text, "+");
  return AnyOf(unsigned_text, {".inf", ".Inf", ".INF"}) || IsFloat(text);
}

bool NeedsQuotes(absl::string_view text) {
  if (ReadsAsOther(text)) return true;
  for (absl::string_view word : {"y", "n", "yes", "no", "on", "off", "null", "true", "false"}) {
    if (absl::EqualsIgnoreCase(text, word)) return true;
  }
  // Sexagesimal numbers, timestamps, digits with underscores.
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, "-")) absl::ConsumePrefix(&rest, "+");
  return !rest.empty() && absl::ascii_isdigit(rest[0]) &&
         rest.find_first_not_of("0123456789_:.-TtZz+ ") == absl::string_view::npos &&
         (rest.find(':') != absl::string_view::npos || rest.find('_') != absl::string_view::npos ||
          (rest.size() >= 10 && rest[4] == '-' && rest[7] == '-'));
}

}  // namespace basalt::yaml
