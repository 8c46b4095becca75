#include "server/controllers/system/console_page.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/controllers/system/qr_code.h"
#include "server/host/screen.h"

namespace basalt::system {
namespace {

constexpr size_t kWidth = 80;
constexpr size_t kLabel = 14;
constexpr size_t kWordsShown = 8;  // 128 bits: nobody finds another key for them
constexpr size_t kMostConditions = 4;
constexpr size_t kMostAddresses = 4;

// Text after a label, broken between words; at most `most` lines.
void Line(std::string* page, absl::string_view label, absl::string_view text, size_t most = 2) {
  std::string first = absl::StrCat("  ", label);
  first.resize(kLabel, ' ');
  std::vector<std::string> lines = {first};
  const std::string plain = host::Plain(text);
  for (absl::string_view word : absl::StrSplit(plain, ' ', absl::SkipEmpty())) {
    word = word.substr(0, kWidth - kLabel);
    if (lines.back().size() + word.size() + 1 > kWidth) {
      if (lines.size() == most) break;
      lines.emplace_back(kLabel, ' ');
    }
    if (lines.back().size() > kLabel) lines.back().push_back(' ');
    absl::StrAppend(&lines.back(), word);
  }
  absl::StrAppend(page, absl::StrJoin(lines, "\n"), "\n");
}

int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string Words(absl::string_view hex, size_t most) {
  static constexpr char kConsonants[] = "bdfghjklmnprstvz";
  static constexpr char kVowels[] = "aiou";
  std::vector<std::string> words;
  for (size_t at = 0; at + 4 <= hex.size() && words.size() < most; at += 4) {
    unsigned value = 0;
    for (size_t i = 0; i < 4; ++i) {
      const int digit = Digit(hex[at + i]);
      if (digit < 0) return absl::StrJoin(words, " ");
      value = value << 4 | static_cast<unsigned>(digit);
    }
    words.push_back({kConsonants[value >> 12 & 15], kVowels[value >> 10 & 3],
                     kConsonants[value >> 6 & 15], kVowels[value >> 4 & 3],
                     kConsonants[value & 15]});
  }
  return absl::StrJoin(words, " ");
}

std::string RenderPicture(const ConsoleFacts& facts) {
  for (const std::string& address : facts.addresses) {
    const auto code =
        MakeQrCode(absl::StrCat("basalt://", facts.machine.machine_id(), "@", address));
    if (code && !facts.machine.machine_id().empty()) return QrLines(*code, 1);
  }
  return "";
}

std::string RenderPage(const ConsoleFacts& facts) {
  const v1::MachineStatus& machine = facts.machine;
  std::string page = "\n";
  Line(&page, "node",
       machine.name().empty() ? "no config yet: sign one for this machine, and apply it"
                              : absl::StrCat(machine.name(), " in ", machine.cluster()));
  Line(&page, "state",
       absl::StrCat(machine.stage(),
                    facts.config.generation() == 0
                        ? ""
                        : absl::StrCat(", generation ", facts.config.generation())));
  std::vector<std::string> addresses = facts.addresses;
  addresses.resize(std::min(addresses.size(), kMostAddresses));
  Line(&page, "address", addresses.empty() ? "none yet" : absl::StrJoin(addresses, " "));
  if (!facts.serial.empty()) Line(&page, "serial", facts.serial, 1);
  // In one piece: it is copied from a serial console.
  Line(&page, "fingerprint", machine.machine_id());
  Line(&page, "in words", Words(machine.machine_id(), kWordsShown));
  if (!facts.note.empty()) Line(&page, "install", facts.note, 3);
  if (!facts.clock.empty()) Line(&page, "clock", facts.clock, 1);
  size_t shown = 0;
  for (const v1::Condition& condition : machine.conditions()) {
    if (condition.holds() != condition.alarm() || shown == kMostConditions) continue;
    Line(&page, shown++ == 0 ? "not well" : "",
         absl::StrCat(condition.type(), ": ", condition.message()));
  }
  if (!facts.config.last_error().empty()) {
    Line(&page, "last error",
         absl::StrCat(facts.config.last_error(), " [", facts.config.last_error_code(), "]"), 3);
  }
  Line(&page, "basalt", absl::StrCat(machine.version(), " ", machine.architecture()), 1);
  return page;
}

}  // namespace basalt::system
