#include "images/builder/lock.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace basalt::image {
namespace {

// Names and versions become arguments of apt and names of files.
bool Plain(absl::string_view word) {
  if (word.empty() || word[0] == '-' || word[0] == '.') return false;
  for (char c : word) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && !absl::StrContains("+-.:~_", c)) {
      return false;
    }
  }
  return true;
}

}  // namespace

absl::StatusOr<std::vector<LockedPackage>> ParseLock(absl::string_view text) {
  std::vector<LockedPackage> packages;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    auto bad = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat("bad-lock: line ", number, ": ", what));
    };
    if (words.size() != 6) return bad("not six words");
    LockedPackage p{
        .name = words[0], .version = words[1], .architecture = words[2], .source = words[5]};
    if (!Plain(p.name) || !Plain(p.version) || !Plain(p.architecture))
      return bad("an odd name or version");
    if (!absl::SimpleAtoi(words[3], &p.size)) return bad("not a size");
    absl::StatusOr<Digest> digest = Digest::Parse(words[4]);
    if (!digest.ok()) return bad("not a sha256");
    p.sha256 = *digest;
    packages.push_back(std::move(p));
  }
  return packages;
}

std::string FormatLock(const std::vector<LockedPackage>& packages) {
  std::string out =
      "# Written by `./dev image --update-lock`: package, version, architecture, size, sha256, "
      "place in the archive.\n";
  for (const LockedPackage& p : packages) {
    absl::StrAppend(&out, p.name, " ", p.version, " ", p.architecture, " ", p.size, " ",
                    p.sha256.Hex(), " ", p.source, "\n");
  }
  return out;
}

std::string StanzaField(absl::string_view stanza, absl::string_view field) {
  for (absl::string_view line : absl::StrSplit(stanza, '\n')) {
    if (absl::ConsumePrefix(&line, field) && absl::ConsumePrefix(&line, ":")) {
      return std::string(absl::StripAsciiWhitespace(line));
    }
  }
  return "";
}

absl::StatusOr<LockedPackage> FromStanza(absl::string_view stanza) {
  LockedPackage p{.name = StanzaField(stanza, "Package"),
                  .version = StanzaField(stanza, "Version"),
                  .architecture = StanzaField(stanza, "Architecture"),
                  .source = StanzaField(stanza, "Filename")};
  absl::StatusOr<Digest> digest = Digest::Parse(StanzaField(stanza, "SHA256"));
  if (!Plain(p.name) || !Plain(p.version) || p.source.empty() || !digest.ok() ||
      !absl::SimpleAtoi(StanzaField(stanza, "Size"), &p.size)) {
    return absl::InvalidArgumentError(absl::StrCat("bad-stanza: ", stanza.substr(0, 200)));
  }
  p.sha256 = *digest;
  return p;
}

}  // namespace basalt::image
