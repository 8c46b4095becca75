#include "machineconfig/seal/armor.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/seal/limits.h"

namespace basalt::seal {
namespace {

constexpr absl::string_view kBegin = "-----BEGIN AGE ENCRYPTED FILE-----";
constexpr absl::string_view kEnd = "-----END AGE ENCRYPTED FILE-----";
constexpr size_t kColumns = 64;

absl::Status Bad(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-armor",
                    absl::StrCat("not the text of an age file: ", what),
                    "paste it whole, from BEGIN to END, as `nodectl seal` or `age -a` wrote it");
}

}  // namespace

std::string Armor(absl::string_view bytes) {
  const std::string base64 = Base64Encode(bytes);
  std::string out = absl::StrCat(kBegin, "\n");
  for (size_t i = 0; i < base64.size(); i += kColumns) {
    absl::StrAppend(&out, absl::string_view(base64).substr(i, kColumns), "\n");
  }
  return absl::StrCat(out, kEnd, "\n");
}

absl::StatusOr<std::string> Dearmor(absl::string_view text) {
  if (text.size() > kMaxArmored) return TooLarge("the armored text", kMaxArmored);
  // White space before BEGIN and after END belongs to whoever pasted it; not on their own lines.
  const size_t begin = text.find(kBegin);
  if (begin == text.npos) return Bad("there is no BEGIN line");
  const absl::string_view before = text.substr(0, begin);
  if (!absl::StripAsciiWhitespace(before).empty() || (begin > 0 && before.back() != '\n')) {
    return Bad("something stands before BEGIN");
  }
  absl::string_view rest = text.substr(begin);
  auto next_line = [&rest](absl::string_view& line) {
    const size_t end = rest.find('\n');
    line = rest.substr(0, end);
    rest = end == rest.npos ? "" : rest.substr(end + 1);
    if (end != rest.npos && !line.empty() && line.back() == '\r') line.remove_suffix(1);
  };
  absl::string_view line;
  next_line(line);
  if (line != kBegin) return Bad("something stands behind BEGIN");
  std::string base64;
  bool last = false;
  for (;;) {
    if (rest.empty()) return Bad("the END line is missing");
    next_line(line);
    if (line == kEnd) break;
    if (last) return Bad("a short line is not the last one");
    if (line.empty() || line.size() > kColumns) return Bad("its lines are not 64 columns wide");
    last = line.size() < kColumns;
    base64.append(line.data(), line.size());
  }
  if (!absl::StripAsciiWhitespace(rest).empty()) return Bad("something stands behind END");
  absl::StatusOr<std::string> bytes = Base64DecodeStrict(base64);
  if (!bytes.ok()) return Bad(bytes.status().message());
  return bytes;
}

}  // namespace basalt::seal
