#include "machineconfig/seal/header.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/seal/limits.h"
#include "machineconfig/seal/primitives.h"

namespace basalt::seal {
namespace {

constexpr absl::string_view kProduct = "age-encryption.org/";
constexpr absl::string_view kVersion = "age-encryption.org/v1";
constexpr size_t kColumns = 64;

absl::Status Bad(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-age-header",
                    absl::StrCat("the header of the age file is damaged: ", what),
                    "seal the value again");
}

class Lines {
 public:
  explicit Lines(absl::string_view text) : text_(text) {}
  // False at the end of the text, and for a line that is not ended.
  bool Next(absl::string_view& line) {
    const size_t end = text_.find('\n', at_);
    if (end == text_.npos) return false;
    line = text_.substr(at_, end - at_);
    at_ = end + 1;
    return true;
  }
  size_t at() const { return at_; }

 private:
  absl::string_view text_;
  size_t at_ = 0;
};

absl::StatusOr<std::vector<std::string>> Arguments(absl::string_view line) {
  if (!absl::ConsumePrefix(&line, "-> ")) return Bad("a stanza does not begin with `-> `");
  std::vector<std::string> out = absl::StrSplit(line, ' ');
  for (const std::string& argument : out) {
    if (argument.empty()) return Bad("a stanza has an empty argument");
    for (char c : argument) {
      if (c < 0x21 || c > 0x7e) return Bad("a stanza has a character that is not printable ASCII");
    }
  }
  return out;
}

absl::StatusOr<std::string> Body(Lines& lines) {
  std::string out;
  absl::string_view line;
  do {
    if (!lines.Next(line)) return Bad("a stanza is cut off");
    if (line.size() > kColumns) return Bad("a line of a stanza is longer than 64 columns");
    std::optional<std::string> bytes = Base64RawDecode(line);
    if (!bytes) return Bad("a stanza is not canonical base64 without padding");
    out += *bytes;
  } while (line.size() == kColumns);
  return out;
}

}  // namespace

std::string HeaderText(const std::vector<Stanza>& stanzas) {
  std::string out = absl::StrCat(kVersion, "\n");
  for (const Stanza& stanza : stanzas) {
    absl::StrAppend(&out, "-> ", absl::StrJoin(stanza.arguments, " "), "\n");
    const std::string base64 = Base64Raw(stanza.body);
    // The last line is shorter than 64 columns, so it may have to be empty.
    for (size_t i = 0; i <= base64.size(); i += kColumns) {
      absl::StrAppend(&out, absl::string_view(base64).substr(i, kColumns), "\n");
    }
  }
  return out + "---";
}

absl::StatusOr<Header> ParseHeader(absl::string_view file) {
  Lines lines(file.substr(0, kMaxHeader));
  absl::string_view line;
  if (!lines.Next(line) || !absl::StartsWith(line, kProduct)) {
    return Bad("it does not begin with a version line");
  }
  if (line != kVersion) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "unknown-age-version",
                      "the age file is not of version v1",
                      "seal it with `nodectl seal` or age 1.x");
  }
  Header out;
  for (;;) {
    const size_t start = lines.at();
    if (!lines.Next(line)) {
      if (file.size() > kMaxHeader) return TooLarge("the header of the age file", kMaxHeader);
      return Bad("it is cut off");
    }
    if (absl::ConsumePrefix(&line, "---")) {
      std::optional<std::string> mac;
      if (absl::ConsumePrefix(&line, " ")) mac = Base64RawDecode(line);
      if (!mac || mac->size() != kKeySize) return Bad("its last line holds no MAC");
      if (out.stanzas.empty()) return Bad("it has no stanza");
      out.mac = *std::move(mac);
      out.authentic = start + 3;
      out.size = lines.at();
      return out;
    }
    if (out.stanzas.size() == kMaxStanzas) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "too-large",
                        absl::StrCat("the age file has more than ", kMaxStanzas, " stanzas"),
                        "seal it to fewer recipients");
    }
    absl::StatusOr<std::vector<std::string>> arguments = Arguments(line);
    if (!arguments.ok()) return arguments.status();
    absl::StatusOr<std::string> body = Body(lines);
    if (!body.ok()) return body.status();
    out.stanzas.push_back({*std::move(arguments), *std::move(body)});
  }
}

}  // namespace basalt::seal
