#include "machineconfig/medium/iso9660.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"

namespace basalt::medium {
namespace {

constexpr uint64_t kSector = 2048;
constexpr uint64_t kFirstDescriptor = 16;
constexpr int kMostDescriptors = 32;
constexpr uint32_t kMostDirectory = 1 << 20;
constexpr size_t kSmallestRecord = 34;

absl::Status Damaged(absl::string_view why) {
  return api::Coded(absl::StatusCode::kDataLoss, "iso9660-damaged",
                    absl::StrCat("the file system of the disc is damaged: ", why));
}

char Ascii(uint32_t c) { return c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '?'; }

// "USER_DATA.;1" → "user_data"
std::string PlainName(absl::string_view text) {
  std::string out;
  for (char c : text.substr(0, text.find(';'))) out.push_back(Ascii(static_cast<uint8_t>(c)));
  if (absl::EndsWith(out, ".")) out.pop_back();
  return absl::AsciiStrToLower(out);
}

std::string JolietName(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(Ascii(static_cast<uint8_t>(text[i]) << 8 | static_cast<uint8_t>(text[i + 1])));
  }
  return out.substr(0, out.find(';'));
}

// NM of Rock Ridge; "" when there is none here. What continues elsewhere is not followed: names of
// config drives are short.
std::string RockRidgeName(absl::string_view area) {
  std::string out;
  while (area.size() >= 4) {
    const auto length = static_cast<uint8_t>(area[2]);
    if (length < 4 || length > area.size()) break;
    if (area.substr(0, 2) == "NM" && length >= 5) {
      for (char c : area.substr(5, length - 5)) out.push_back(Ascii(static_cast<uint8_t>(c)));
    }
    area.remove_prefix(length);
  }
  return out;
}

// A disc that has no other names has made ours like this.
bool SameName(absl::string_view have, absl::string_view want) {
  return absl::EqualsIgnoreCase(have, want) ||
         absl::EqualsIgnoreCase(have, absl::StrReplaceAll(want, {{"-", "_"}}));
}

}  // namespace

absl::StatusOr<Iso9660> Iso9660::Open(Bytes& bytes) {
  Iso9660 out(bytes);
  bool found = false;
  for (int i = 0; i < kMostDescriptors; ++i) {
    absl::StatusOr<std::string> sector = bytes.Read((kFirstDescriptor + i) * kSector, kSector);
    if (!sector.ok() || absl::string_view(*sector).substr(1, 5) != "CD001") break;
    const std::string& s = *sector;
    const int type = static_cast<uint8_t>(s[0]);
    if (type == 255) break;
    const absl::string_view escape = absl::string_view(s).substr(88, 3);
    const bool joliet = type == 2 && (escape == "%/@" || escape == "%/C" || escape == "%/E");
    if (type != 1 && !joliet) continue;
    if (type == 1) {
      found = true;
      out.label_ =
          std::string(absl::StripTrailingAsciiWhitespace(absl::string_view(s).substr(40, 32)));
    }
    if (type == 1 && out.joliet_) continue;
    out.joliet_ = joliet;
    out.root_ = {.directory = true, .extent = Little(s, 158, 4), .size = Little(s, 166, 4)};
  }
  if (found) return out;
  return api::Coded(absl::StatusCode::kInvalidArgument, "not-iso9660",
                    "no file system of a disc (ISO 9660)");
}

absl::StatusOr<std::vector<Iso9660::Entry>> Iso9660::Entries(const Entry& directory) {
  absl::StatusOr<std::string> data =
      bytes_->Read(uint64_t{directory.extent} * kSector, std::min(directory.size, kMostDirectory));
  if (!data.ok()) return Damaged("a directory lies outside");
  std::vector<Entry> out;
  for (size_t at = 0; at < data->size();) {
    const size_t length = static_cast<uint8_t>((*data)[at]);
    if (length == 0) {  // no record crosses a sector
      at = (at / kSector + 1) * kSector;
      continue;
    }
    if (length < kSmallestRecord || length > data->size() - at) return Damaged("a record");
    const absl::string_view record(data->data() + at, length);
    at += length;
    const size_t name_size = static_cast<uint8_t>(record[32]);
    if (33 + name_size > length) return Damaged("a name");
    const absl::string_view raw = record.substr(33, name_size);
    if (name_size == 1 && (raw[0] == 0 || raw[0] == 1)) continue;  // itself, and its parent
    const auto flags = static_cast<uint8_t>(record[25]);
    Entry& e = out.emplace_back();
    const size_t rest = 33 + name_size + (name_size % 2 == 0 ? 1 : 0);
    if (joliet_) {
      e.name = JolietName(raw);
    } else {
      if (rest < length) e.name = RockRidgeName(record.substr(rest));
      if (e.name.empty()) e.name = PlainName(raw);
    }
    e.directory = (flags & 2) != 0;
    e.in_pieces = (flags & 0x80) != 0;
    e.extent = Little(record, 2, 4) + static_cast<uint8_t>(record[1]);
    e.size = Little(record, 10, 4);
  }
  return out;
}

absl::StatusOr<Iso9660::Entry> Iso9660::Find(absl::string_view path) {
  Entry at = root_;
  for (absl::string_view name : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (!at.directory) return absl::NotFoundError(absl::StrCat("no file ", path));
    absl::StatusOr<std::vector<Entry>> entries = Entries(at);
    if (!entries.ok()) return entries.status();
    auto it = std::find_if(entries->begin(), entries->end(),
                           [&](const Entry& e) { return SameName(e.name, name); });
    if (it == entries->end()) return absl::NotFoundError(absl::StrCat("no file ", path));
    at = *it;
  }
  return at;
}

absl::StatusOr<std::vector<Iso9660::Entry>> Iso9660::List(absl::string_view directory) {
  absl::StatusOr<Entry> at = Find(directory);
  if (!at.ok()) return at.status();
  if (!at->directory) return absl::NotFoundError(absl::StrCat(directory, " is no directory"));
  return Entries(*at);
}

absl::StatusOr<std::string> Iso9660::ReadFile(absl::string_view path, size_t most) {
  absl::StatusOr<Entry> file = Find(path);
  if (!file.ok()) return file.status();
  if (file->directory) return absl::NotFoundError(absl::StrCat(path, " is a directory"));
  if (file->in_pieces || file->size > most) {
    return api::Coded(absl::StatusCode::kResourceExhausted, "file-too-large",
                      absl::StrCat(path, " has more than ", most, " bytes"));
  }
  absl::StatusOr<std::string> data = bytes_->Read(uint64_t{file->extent} * kSector, file->size);
  return data.ok() ? data : Damaged(absl::StrCat(path, " lies outside"));
}

}  // namespace basalt::medium
