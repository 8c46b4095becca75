#include "client/commands/medium.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "client/commands/sealing.h"
#include "client/context/files.h"
#include "machineconfig/seal/keys.h"

namespace basalt::client {
namespace {

constexpr absl::string_view kName = "# medium: ";
constexpr size_t kMostFile = 64 << 10;
constexpr size_t kLongestId = 64;

absl::Status Bad(const std::string& file, absl::string_view why) {
  absl::Status status = api::Coded(absl::StatusCode::kInvalidArgument, "bad-medium",
                                   absl::StrCat(file.empty() ? "--medium-id" : file, ": ", why),
                                   "`nodectl image medium -o FILE` makes one");
  return file.empty() ? status : api::WithDetail(status, "file", file);
}

bool GoodId(absl::string_view id) {
  return !id.empty() && id.size() <= kLongestId && std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace

absl::StatusOr<Medium> MakeMedium(const std::string& id) {
  Medium medium{.id = id};
  if (id.empty()) {
    uint8_t random[8];
    if (!RandomBytes(random, sizeof random)) {
      return api::Coded(absl::StatusCode::kUnavailable, "no-randomness", "no randomness");
    }
    medium.id = absl::StrCat("medium-", absl::BytesToHexString(absl::string_view(
                                            reinterpret_cast<const char*>(random), sizeof random)));
  } else if (!GoodId(id)) {
    return Bad("", "a name has up to 64 letters, digits, '-', '_' and '.'");
  }
  absl::StatusOr<seal::Identity> key = seal::Identity::Generate(RandomBytes);
  if (!key.ok()) return key.status();
  medium.recipient = key->recipient().Text();
  medium.key = std::string(key->Text().view());
  return medium;
}

std::string MediumText(const Medium& medium) {
  return absl::StrCat(kName, medium.id, "\n# public key: ", medium.recipient, "\n", medium.key,
                      "\n");
}

absl::StatusOr<Medium> ParseMedium(absl::string_view text, const std::string& file) {
  Medium medium;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::ConsumePrefix(&line, kName)) {
      medium.id = std::string(absl::StripAsciiWhitespace(line));
    }
  }
  if (!GoodId(medium.id)) return Bad(file, "it does not name a medium");
  absl::StatusOr<std::vector<seal::Identity>> keys = seal::ParseIdentities(text, file);
  if (!keys.ok()) return keys.status();
  if (keys->size() != 1) return Bad(file, "it holds more than one key");
  medium.recipient = keys->front().recipient().Text();
  medium.key = std::string(keys->front().Text().view());
  return medium;
}

absl::StatusOr<Medium> ReadMedium(const std::string& file) {
  absl::StatusOr<std::string> text = ReadFile(file, kMostFile);
  if (!text.ok()) return text.status();
  absl::StatusOr<Medium> medium = ParseMedium(*text, file);
  OPENSSL_cleanse(text->data(), text->size());
  return medium;
}

}  // namespace basalt::client
