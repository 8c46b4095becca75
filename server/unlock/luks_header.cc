#include "server/unlock/luks_header.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/unlock/layout.h"

namespace basalt::unlock {
namespace {

using Json = nlohmann::json;

constexpr size_t kBinary = 4096;
constexpr size_t kJsonSize = kHeaderSize - kBinary;
constexpr int kMostDepth = 8;
constexpr size_t kMostMembers = 64;
constexpr char kSecondMagic[] = "SKUL\xba\xbe";
constexpr char kCipher[] = "aes-xts-plain64";
constexpr uint64_t kKeyslotsAt = kBothHeaders;

// Offsets in the binary part; numbers are big-endian.
constexpr size_t kVersion = 6, kSize = 8, kSequence = 16, kLabel = 24, kSumKind = 72, kSalt = 104,
                 kUuid = 168, kOffset = 256, kSum = 448;
constexpr size_t kLabelSize = 48, kUuidSize = 40, kSaltSize = 64, kSumSize = 64;

uint64_t Number(absl::string_view bytes, size_t at, size_t size) {
  uint64_t number = 0;
  for (size_t i = 0; i < size; ++i) number = number << 8 | static_cast<uint8_t>(bytes[at + i]);
  return number;
}

void SetNumber(std::string* bytes, size_t at, size_t size, uint64_t number) {
  for (size_t i = 0; i < size; ++i) {
    (*bytes)[at + i] = static_cast<char>(number >> (8 * (size - 1 - i)));
  }
}

std::string Text(absl::string_view bytes, size_t at, size_t size) {
  const absl::string_view field = bytes.substr(at, size);
  return std::string(field.substr(0, std::min(field.find('\0'), field.size())));
}

std::string Sha256(absl::string_view bytes) {
  std::string digest(32, '\0');
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
             EVP_sha256(), nullptr);
  return digest;
}

Status Other(absl::string_view what) {
  return UnimplementedError(
      absl::StrCat("its LUKS2 header is of a kind that this node does not make: ", what));
}

// One copy. NotFound: nothing of the kind is there.
StatusOr<absl::string_view> Whole(absl::string_view copy, const char* magic, uint64_t offset) {
  if (copy.substr(0, 6) != absl::string_view(magic, 6) || Number(copy, kVersion, 2) != 2) {
    return NotFoundError("no LUKS2 header");
  }
  if (Number(copy, kSize, 8) != kHeaderSize) return Other("its size");
  if (Number(copy, kOffset, 8) != offset || Text(copy, kSumKind, 32) != "sha256") {
    return DataLossError("its LUKS2 header is damaged");
  }
  std::string summed(copy);
  std::fill_n(summed.begin() + kSum, kSumSize, '\0');
  if (Sha256(summed) != copy.substr(kSum, 32)) {
    return DataLossError("its LUKS2 header is damaged");
  }
  return copy;
}

// Members of an object, few enough; empty for anything else.
const Json::object_t* Object(const Json& json, const char* name) {
  auto it = json.find(name);
  if (it == json.end() || !it->is_object() || it->size() > kMostMembers) return nullptr;
  return it->get_ptr<const Json::object_t*>();
}

std::string String(const Json& json, const char* name) {
  auto it = json.find(name);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

// A number, or one as a text, which LUKS2 has for what may exceed 32 bits. UINT64_MAX: none.
uint64_t Integer(const Json& json, const char* name) {
  auto it = json.find(name);
  uint64_t number = 0;
  if (it == json.end()) return UINT64_MAX;
  if (it->is_number_integer()) return static_cast<uint64_t>(it->get<int64_t>());
  return it->is_string() && absl::SimpleAtoi(it->get_ref<const std::string&>(), &number)
             ? number
             : UINT64_MAX;
}

bool Between(uint64_t number, uint64_t least, uint64_t most) {
  return number >= least && number <= most;
}

std::string Bytes(const Json& json, const char* name) {
  std::string bytes;
  return absl::Base64Unescape(String(json, name), &bytes) ? bytes : "";
}

// "3" → 3, -1 for what is no number of a keyslot.
int Slot(absl::string_view text) {
  int number = -1;
  return absl::SimpleAtoi(text, &number) && Between(static_cast<uint64_t>(number), 0, 31) ? number
                                                                                          : -1;
}

Keyslot ReadKeyslot(const Json& json) {
  Keyslot slot;
  static const Json kNone = Json::object();
  auto member = [&](const char* name) -> const Json& {
    auto it = json.find(name);
    return it != json.end() && it->is_object() ? *it : kNone;
  };
  const Json &af = member("af"), &area = member("area"), &kdf = member("kdf");
  slot.offset = Integer(area, "offset");
  slot.size = Integer(area, "size");
  slot.kdf.type = String(kdf, "type");
  slot.kdf.salt = Bytes(kdf, "salt");
  const bool pbkdf2 = slot.kdf.type == "pbkdf2" && String(kdf, "hash") == "sha256";
  const bool argon2 = slot.kdf.type == "argon2id";
  const uint64_t iterations = Integer(kdf, pbkdf2 ? "iterations" : "time");
  const uint64_t memory = argon2 ? Integer(kdf, "memory") : 0;
  const uint64_t lanes = argon2 ? Integer(kdf, "cpus") : 0;
  // More work than any device asks for is refused, not done.
  slot.usable = (pbkdf2 ? Between(iterations, 1000, 100000000) : argon2) &&
                (pbkdf2 || (Between(iterations, 1, 1000) && Between(memory, 8, 4 << 20) &&
                            Between(lanes, 1, 8) && memory >= 8 * lanes)) &&
                Between(slot.kdf.salt.size(), 16, 64) && String(json, "type") == "luks2" &&
                Integer(json, "key_size") == kVolumeKeySize && String(af, "type") == "luks1" &&
                String(af, "hash") == "sha256" && Integer(af, "stripes") == kStripes &&
                String(area, "type") == "raw" && slot.size == kAreaSize &&
                String(area, "encryption") == kCipher &&
                Integer(area, "key_size") == kVolumeKeySize && slot.offset % 4096 == 0 &&
                Between(slot.offset, kKeyslotsAt, kDataOffset - kAreaSize);
  if (slot.usable) {
    slot.kdf.iterations = static_cast<uint32_t>(iterations);
    slot.kdf.memory = static_cast<uint32_t>(memory);
    slot.kdf.lanes = static_cast<uint32_t>(lanes);
  }
  return slot;
}

Token ReadToken(const Json& json) {
  Token token;
  for (const auto& [name, value] : json.items()) {
    if (name == "type") {
      token.type = String(json, "type");
    } else if (name == "keyslots" && value.is_array() && value.size() <= kMostMembers) {
      for (const Json& slot : value) {
        const int number = slot.is_string() ? Slot(slot.get_ref<const std::string&>()) : -1;
        if (number >= 0) token.keyslots.push_back(number);
      }
    } else if (value.is_string()) {
      token.fields[name] = value.get<std::string>();
    }
  }
  return token;
}

StatusOr<Json> ReadJson(absl::string_view text) {
  bool deep = false;
  auto watch = [&](int depth, Json::parse_event_t, Json&) {
    deep = deep || depth > kMostDepth;
    return !deep;
  };
  Json json = Json::parse(text.begin(), text.end(), watch, /*allow_exceptions=*/false);
  if (deep || json.is_discarded() || !json.is_object()) {
    return DataLossError("the JSON part of its LUKS2 header is damaged");
  }
  return json;
}

// The views of `json` that a Header has beside the text.
Status Fill(const Json& json, Header* header) {
  header->keyslots.clear();
  header->tokens.clear();
  const auto* keyslots = Object(json, "keyslots");
  const auto* tokens = Object(json, "tokens");
  const auto* segments = Object(json, "segments");
  const auto* digests = Object(json, "digests");
  if (keyslots == nullptr || tokens == nullptr || segments == nullptr || digests == nullptr) {
    return DataLossError("the JSON part of its LUKS2 header lacks a section");
  }
  if (segments->size() != 1 || digests->size() != 1 || keyslots->size() > kMostKeyslots) {
    return Other("segments");
  }
  const Json &segment = segments->begin()->second, &digest = digests->begin()->second;
  if (!segment.is_object() || !digest.is_object() || String(segment, "type") != "crypt" ||
      String(segment, "encryption") != kCipher || Integer(segment, "iv_tweak") != 0 ||
      String(segment, "size") != "dynamic" || segment.contains("integrity")) {
    return Other("cipher");
  }
  header->data_offset = Integer(segment, "offset");
  const uint64_t sector = Integer(segment, "sector_size");
  if (header->data_offset != kDataOffset || (sector != 512 && sector != 4096)) {
    return Other("offset of the data");
  }
  header->sector = static_cast<uint32_t>(sector);
  header->digest = Bytes(digest, "digest");
  header->digest_salt = Bytes(digest, "salt");
  const uint64_t iterations = Integer(digest, "iterations");
  if (String(digest, "type") != "pbkdf2" || String(digest, "hash") != "sha256" ||
      header->digest.size() != 32 || !Between(header->digest_salt.size(), 16, 64) ||
      !Between(iterations, 1000, 100000000)) {
    return Other("digest");
  }
  header->digest_iterations = static_cast<uint32_t>(iterations);
  auto opens = digest.find("keyslots");
  if (opens == digest.end() || !opens->is_array()) return Other("digest");
  for (const auto& [name, value] : *keyslots) {
    const int number = Slot(name);
    if (number < 0 || !value.is_object()) return Other("keyslots");
    header->keyslots[number] = ReadKeyslot(value);
  }
  for (const auto& [name, value] : *tokens) {
    const int number = Slot(name);
    if (number < 0 || !value.is_object()) return Other("tokens");
    header->tokens[number] = ReadToken(value);
  }
  header->discards = false;
  auto config = json.find("config");
  if (config != json.end() && config->is_object()) {
    auto flags = config->find("flags");
    if (flags != config->end() && flags->is_array()) {
      header->discards = std::find(flags->begin(), flags->end(), "allow-discards") != flags->end();
    }
  }
  return OkStatus();
}

StatusOr<Header> Take(Header header, const Json& json) {
  header.json = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (header.json.size() >= kJsonSize) {
    return ResourceExhaustedError("its LUKS2 header is full");
  }
  if (Status status = Fill(json, &header); !status.ok()) return status;
  return header;
}

void Drop(Json* json, const Header& header, absl::string_view type) {
  for (const auto& [number, token] : header.tokens) {
    if (token.type != type) continue;
    (*json)["tokens"].erase(absl::StrCat(number));
    for (int slot : token.keyslots) {
      (*json)["keyslots"].erase(absl::StrCat(slot));
      for (auto& [name, digest] : (*json)["digests"].items()) {
        Json left = Json::array();
        for (const Json& of : digest["keyslots"]) {
          if (of != absl::StrCat(slot)) left.push_back(of);
        }
        digest["keyslots"] = std::move(left);
      }
    }
  }
}

}  // namespace

int Header::TokenOf(absl::string_view type) const {
  for (const auto& [number, token] : tokens) {
    if (token.type == type && !token.keyslots.empty()) return number;
  }
  return -1;
}

const Keyslot* Header::SlotOf(absl::string_view type) const {
  const int number = TokenOf(type);
  if (number < 0) return nullptr;
  auto slot = keyslots.find(tokens.at(number).keyslots.front());
  return slot != keyslots.end() && slot->second.usable ? &slot->second : nullptr;
}

StatusOr<Header> ParseHeader(absl::string_view bytes) {
  if (bytes.size() < kBothHeaders) return NotFoundError("no LUKS2 header");
  auto first = Whole(bytes.substr(0, kHeaderSize), kLuksMagic, 0);
  auto second = Whole(bytes.substr(kHeaderSize, kHeaderSize), kSecondMagic, kHeaderSize);
  if (!first.ok() && !second.ok()) {
    return IsNotFound(first.status()) ? second.status() : first.status();
  }
  const uint64_t a = first.ok() ? Number(*first, kSequence, 8) : 0;
  const uint64_t b = second.ok() ? Number(*second, kSequence, 8) : 0;
  const absl::string_view copy = first.ok() && (!second.ok() || a >= b) ? *first : *second;
  Header header;
  header.both = first.ok() && second.ok() && a == b;
  header.sequence = std::max(a, b);
  header.uuid = Text(copy, kUuid, kUuidSize);
  header.label = Text(copy, kLabel, kLabelSize);
  header.json = Text(copy, kBinary, kJsonSize);
  auto json = ReadJson(header.json);
  if (!json.ok()) return json.status();
  if (Status status = Fill(*json, &header); !status.ok()) return status;
  return header;
}

StatusOr<Header> MakeHeader(const NewHeader& about) {
  Header header;
  header.uuid = about.uuid;
  header.label = about.label;
  const Json json = {{"keyslots", Json::object()},
                     {"tokens", Json::object()},
                     {"segments",
                      {{"0",
                        {{"type", "crypt"},
                         {"offset", absl::StrCat(kDataOffset)},
                         {"size", "dynamic"},
                         {"iv_tweak", "0"},
                         {"encryption", kCipher},
                         {"sector_size", about.sector}}}}},
                     {"digests",
                      {{"0",
                        {{"type", "pbkdf2"},
                         {"keyslots", Json::array()},
                         {"segments", {"0"}},
                         {"hash", "sha256"},
                         {"iterations", about.digest_iterations},
                         {"salt", absl::Base64Escape(about.digest_salt)},
                         {"digest", absl::Base64Escape(about.digest)}}}}},
                     {"config",
                      {{"json_size", absl::StrCat(kJsonSize)},
                       {"keyslots_size", absl::StrCat(kDataOffset - kKeyslotsAt)},
                       {"flags", {"allow-discards"}}}}};
  return Take(std::move(header), json);
}

uint64_t AreaOf(int number) { return kKeyslotsAt + static_cast<uint64_t>(number) * kAreaSize; }

StatusOr<int> FreeKeyslot(const Header& header) {
  // By area as well: another program may have put a keyslot anywhere.
  for (int number = 0; number < kMostKeyslots; ++number) {
    const uint64_t at = AreaOf(number);
    bool free = header.keyslots.count(number) == 0 && at + kAreaSize <= kDataOffset;
    for (const auto& [other, slot] : header.keyslots) {
      const bool behind = slot.offset >= at + kAreaSize;
      const bool before = slot.offset <= at && at - slot.offset >= slot.size;
      free = free && (behind || before);
    }
    if (free) return number;
  }
  return ResourceExhaustedError("its LUKS2 header has no room for another key");
}

StatusOr<Header> WithKey(const Header& header, int number, const Kdf& kdf, const Token& token) {
  auto json = ReadJson(header.json);
  if (!json.ok()) return json.status();
  Drop(&*json, header, token.type);
  Json derive = {{"type", kdf.type}, {"salt", absl::Base64Escape(kdf.salt)}};
  if (kdf.type == "argon2id") {
    derive["time"] = kdf.iterations;
    derive["memory"] = kdf.memory;
    derive["cpus"] = kdf.lanes;
  } else {
    derive["hash"] = "sha256";
    derive["iterations"] = kdf.iterations;
  }
  const std::string name = absl::StrCat(number);
  (*json)["keyslots"][name] = {
      {"type", "luks2"},
      {"key_size", kVolumeKeySize},
      {"af", {{"type", "luks1"}, {"stripes", kStripes}, {"hash", "sha256"}}},
      {"area",
       {{"type", "raw"},
        {"offset", absl::StrCat(AreaOf(number))},
        {"size", absl::StrCat(kAreaSize)},
        {"encryption", kCipher},
        {"key_size", kVolumeKeySize}}},
      {"kdf", std::move(derive)}};
  for (auto& [digest, value] : (*json)["digests"].items()) value["keyslots"].push_back(name);
  Json text = {{"type", token.type}, {"keyslots", {name}}};
  for (const auto& [field, value] : token.fields) text[field] = value;
  int at = 0;
  while ((*json)["tokens"].contains(absl::StrCat(at))) ++at;
  (*json)["tokens"][absl::StrCat(at)] = std::move(text);
  return Take(header, *json);
}

StatusOr<Header> WithoutKey(const Header& header, absl::string_view type) {
  auto json = ReadJson(header.json);
  if (!json.ok()) return json.status();
  Drop(&*json, header, type);
  return Take(header, *json);
}

StatusOr<std::string> RenderHeader(const Header& header, absl::string_view salts) {
  if (header.json.size() >= kJsonSize || salts.size() < 2 * kSaltSize) {
    return ResourceExhaustedError("its LUKS2 header is full");
  }
  std::string bytes;
  for (int copy = 0; copy < 2; ++copy) {
    std::string one(kHeaderSize, '\0');
    one.replace(0, 6, copy == 0 ? kLuksMagic : kSecondMagic, 6);
    SetNumber(&one, kVersion, 2, 2);
    SetNumber(&one, kSize, 8, kHeaderSize);
    SetNumber(&one, kSequence, 8, header.sequence + 1);
    const std::string label = header.label.substr(0, kLabelSize - 1);
    one.replace(kLabel, label.size(), label);
    one.replace(kSumKind, 6, "sha256");
    one.replace(kSalt, kSaltSize, salts.data() + static_cast<size_t>(copy) * kSaltSize, kSaltSize);
    const std::string uuid = header.uuid.substr(0, kUuidSize - 1);
    one.replace(kUuid, uuid.size(), uuid);
    SetNumber(&one, kOffset, 8, copy == 0 ? 0 : kHeaderSize);
    one.replace(kBinary, header.json.size(), header.json);
    one.replace(kSum, 32, Sha256(one));
    bytes += one;
  }
  return bytes;
}

std::string KeyText(const Header& header) {
  if (const int tpm = header.TokenOf(kTpm2Token); tpm >= 0) {
    const auto& fields = header.tokens.at(tpm).fields;
    auto pcrs = fields.find("pcrs"), authority = fields.find("signed-pcrs");
    std::string text = absl::StrCat("tpm2 (PCR ", pcrs != fields.end() ? pcrs->second : "?");
    if (authority != fields.end()) absl::StrAppend(&text, ", signed PCR ", authority->second);
    return text + ")";
  }
  if (header.TokenOf(kNodeToken) >= 0) return "node";
  if (header.TokenOf(kStateToken) >= 0) return "state";
  return header.TokenOf(kPassphraseToken) >= 0 ? "passphrase" : "";
}

}  // namespace basalt::unlock
