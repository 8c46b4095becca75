#include "server/update/entry_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace basalt::update {
namespace {

constexpr absl::string_view kPrefix = "noded_";
constexpr absl::string_view kSuffix = ".efi";

bool Number(absl::string_view text, int* value) {
  const bool digits = !text.empty() && text.size() <= 4 &&
                      std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
  return digits && absl::SimpleAtoi(text, value);
}

// The longest beginning of `text` of which every character is `wanted`; taken off.
template <typename Predicate>
absl::string_view Take(absl::string_view& text, Predicate wanted) {
  const auto end = std::find_if_not(text.begin(), text.end(), wanted);
  absl::string_view taken = text.substr(0, static_cast<size_t>(end - text.begin()));
  text.remove_prefix(taken.size());
  return taken;
}

int Sign(int value) { return value < 0 ? -1 : value > 0 ? 1 : 0; }

int CompareNumbers(absl::string_view a, absl::string_view b) {
  while (absl::ConsumePrefix(&a, "0")) {
  }
  while (absl::ConsumePrefix(&b, "0")) {
  }
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return Sign(a.compare(b));
}

bool IsPartOfVersion(char c) {
  return absl::ascii_isalnum(c) || c == '~' || c == '-' || c == '^' || c == '.';
}

}  // namespace

bool IsVersion(absl::string_view text) {
  return !text.empty() && text.size() <= 64 && absl::ascii_isalnum(text[0]) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isalnum(c) || absl::StrContains("._~-", c); });
}

std::optional<EntryName> ParseEntryName(absl::string_view file) {
  if (!absl::ConsumePrefix(&file, kPrefix) || !absl::ConsumeSuffix(&file, kSuffix)) {
    return std::nullopt;
  }
  EntryName entry;
  if (const size_t plus = file.find('+'); plus != absl::string_view::npos) {
    absl::string_view tries = file.substr(plus + 1);
    const size_t dash = tries.find('-');
    if (!Number(tries.substr(0, dash), &entry.left)) return std::nullopt;
    if (dash != absl::string_view::npos && !Number(tries.substr(dash + 1), &entry.done)) {
      return std::nullopt;
    }
    entry.counted = true;
    file = file.substr(0, plus);
  }
  if (!IsVersion(file)) return std::nullopt;
  entry.version = std::string(file);
  return entry;
}

std::string FormatEntryName(const EntryName& entry) {
  std::string name = absl::StrCat(kPrefix, entry.version);
  if (entry.counted) absl::StrAppend(&name, "+", entry.left);
  if (entry.counted && entry.done > 0) absl::StrAppend(&name, "-", entry.done);
  return absl::StrCat(name, kSuffix);
}

int CompareVersions(absl::string_view a, absl::string_view b) {
  for (;;) {
    Take(a, [](char c) { return !IsPartOfVersion(c); });
    Take(b, [](char c) { return !IsPartOfVersion(c); });
    // A pre-release is older than what it leads to, which is why this comes before the end.
    const bool pre_a = absl::ConsumePrefix(&a, "~"), pre_b = absl::ConsumePrefix(&b, "~");
    if (pre_a != pre_b) return pre_a ? -1 : 1;
    if (a.empty() || b.empty()) return a.empty() && b.empty() ? 0 : a.empty() ? -1 : 1;
    for (absl::string_view separator : {"-", "^", "."}) {
      const bool in_a = absl::ConsumePrefix(&a, separator),
                 in_b = absl::ConsumePrefix(&b, separator);
      if (in_a != in_b) return in_a ? -1 : 1;
    }
    const bool digit =
        (!a.empty() && absl::ascii_isdigit(a[0])) || (!b.empty() && absl::ascii_isdigit(b[0]));
    const auto of_segment = [digit](char c) {
      return digit ? absl::ascii_isdigit(c) : absl::ascii_isalpha(c);
    };
    const absl::string_view part_a = Take(a, of_segment), part_b = Take(b, of_segment);
    // Numbers are newer than letters.
    if (digit && part_a.empty() != part_b.empty()) return part_a.empty() ? -1 : 1;
    const int order = digit ? CompareNumbers(part_a, part_b) : Sign(part_a.compare(part_b));
    if (order != 0) return order;
  }
}

}  // namespace basalt::update
