#include "machineconfig/medium/fat.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"

namespace basalt::medium {
namespace {

constexpr size_t kEntry = 32;
constexpr size_t kMostDirectory = 2 << 20;  // 65536 entries, as many as FAT allows
constexpr uint64_t kMostTable = 64 << 20;
constexpr uint8_t kLabel = 0x08, kDirectory = 0x10, kLongName = 0x0f;

absl::Status NotFat(absl::string_view why) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "not-fat",
                    absl::StrCat("no FAT file system: ", why));
}

absl::Status Damaged(absl::string_view why) {
  return api::Coded(absl::StatusCode::kDataLoss, "fat-damaged",
                    absl::StrCat("the FAT file system is damaged: ", why));
}

char Ascii(uint32_t c) { return c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '?'; }

// Thirteen characters, in three pieces.
std::string PieceOfLongName(absl::string_view entry) {
  static constexpr size_t kPlaces[] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
  std::string out;
  for (size_t at : kPlaces) {
    const uint32_t c = Little(entry, at, 2);
    if (c == 0 || c == 0xffff) break;
    out.push_back(Ascii(c));
  }
  return out;
}

std::string ShortName(absl::string_view entry) {
  std::string base, extension;
  for (size_t i = 0; i < 11; ++i) {
    (i < 8 ? base : extension).push_back(Ascii(static_cast<uint8_t>(entry[i])));
  }
  absl::StripTrailingAsciiWhitespace(&base);
  absl::StripTrailingAsciiWhitespace(&extension);
  return absl::AsciiStrToLower(extension.empty() ? base : absl::StrCat(base, ".", extension));
}

}  // namespace

absl::StatusOr<Fat> Fat::Open(Bytes& bytes) {
  Fat out(bytes);
  if (absl::Status s = out.ReadHead(); !s.ok()) return s;
  return out;
}

absl::Status Fat::ReadHead() {
  if (bytes_->size() < 512) return NotFat("too short");
  absl::StatusOr<std::string> head = bytes_->Read(0, 512);
  if (!head.ok()) return head.status();
  const std::string& h = *head;
  sector_ = Little(h, 11, 2);
  const uint32_t per_cluster = Little(h, 13, 1), reserved = Little(h, 14, 2);
  copies_ = Little(h, 16, 1);
  const uint32_t root_entries = Little(h, 17, 2);
  const uint64_t sectors = Little(h, 19, 2) != 0 ? Little(h, 19, 2) : Little(h, 32, 4);
  const uint64_t table = Little(h, 22, 2) != 0 ? Little(h, 22, 2) : Little(h, 36, 4);
  const bool power_of_two = per_cluster != 0 && (per_cluster & (per_cluster - 1)) == 0;
  if (Little(h, 510, 2) != 0xaa55 ||
      (sector_ != 512 && sector_ != 1024 && sector_ != 2048 && sector_ != 4096) || !power_of_two ||
      reserved == 0 || copies_ == 0 || copies_ > 4 || table == 0) {
    return NotFat("its first sector does not describe one");
  }
  cluster_ = sector_ * per_cluster;
  table_at_ = uint64_t{reserved} * sector_;
  table_size_ = table * sector_;
  root_size_ = (uint64_t{root_entries} * kEntry + sector_ - 1) / sector_ * sector_;
  root_at_ = table_at_ + table_size_ * copies_;
  data_at_ = root_at_ + root_size_;
  const uint64_t size = std::min(sectors * sector_, bytes_->size());
  if (data_at_ >= size || table_size_ > kMostTable) return NotFat("it reaches beyond its end");
  const uint64_t count =
      (sectors * sector_ < data_at_ ? 0 : sectors * sector_ - data_at_) / cluster_;
  // As Linux tells them apart: small ones are made as FAT32 as well, which the book does not allow.
  kind_ = Little(h, 22, 2) == 0 ? Kind::k32 : count < 4085 ? Kind::k12 : Kind::k16;
  if ((kind_ == Kind::k32) != (root_entries == 0) || (kind_ == Kind::k16 && count > 65524)) {
    return NotFat("its root directory is of another kind");
  }
  // A cluster without an entry in the table, or beyond the end of the medium, is none.
  const uint64_t entries = kind_ == Kind::k12   ? table_size_ * 2 / 3
                           : kind_ == Kind::k16 ? table_size_ / 2
                                                : table_size_ / 4;
  clusters_ = static_cast<uint32_t>(
      std::min({count, entries < 2 ? 0 : entries - 2, (size - data_at_) / cluster_}));
  absl::StatusOr<std::string> whole = bytes_->Read(table_at_, table_size_);
  if (!whole.ok()) return whole.status();
  table_ = *std::move(whole);
  label_ = std::string(absl::StripTrailingAsciiWhitespace(
      absl::string_view(h).substr(kind_ == Kind::k32 ? 71 : 43, 11)));
  if (kind_ == Kind::k32) {
    root_cluster_ = Little(h, 44, 4);
    const uint32_t info = Little(h, 48, 2);
    if (info != 0 && info < reserved) info_at_ = uint64_t{info} * sector_;
  }
  absl::StatusOr<Directory> root = ReadDirectory(0);
  if (!root.ok()) return root.status();
  if (std::string found = LabelIn(root->data); !found.empty()) label_ = found;
  if (label_ == "NO NAME") label_.clear();
  return absl::OkStatus();
}

uint32_t Fat::Next(uint32_t cluster) const {
  uint32_t next = 0;
  switch (kind_) {
    case Kind::k12:
      next = Little(table_, cluster + cluster / 2, 2);
      next = cluster % 2 != 0 ? next >> 4 : next & 0xfff;
      break;
    case Kind::k16:
      next = Little(table_, size_t{cluster} * 2, 2);
      break;
    case Kind::k32:
      next = Little(table_, size_t{cluster} * 4, 4) & 0x0fffffff;
  }
  return next >= 2 && next - 2 < clusters_ ? next : 0;
}

uint64_t Fat::PlaceOf(uint32_t cluster) const {
  return data_at_ + uint64_t{cluster - 2} * cluster_;
}

absl::StatusOr<std::vector<uint32_t>> Fat::Chain(uint32_t first, size_t most_bytes) const {
  std::vector<uint32_t> out;
  if (first < 2 || first - 2 >= clusters_) return Damaged("a chain begins outside");
  const size_t most = most_bytes / cluster_ + 1;
  for (uint32_t c = first; c != 0; c = Next(c)) {
    // Also what ends a chain that is a circle.
    if (out.size() == most) break;
    out.push_back(c);
  }
  return out;
}

absl::StatusOr<Fat::Directory> Fat::ReadDirectory(uint32_t first) {
  Directory out;
  if (first == 0 && kind_ != Kind::k32) {
    absl::StatusOr<std::string> data =
        bytes_->Read(root_at_, std::min<uint64_t>(root_size_, kMostDirectory));
    if (!data.ok()) return data.status();
    out.data = *std::move(data);
    return out;
  }
  absl::StatusOr<std::vector<uint32_t>> chain =
      Chain(first == 0 ? root_cluster_ : first, kMostDirectory - 1);
  if (!chain.ok()) return chain.status();
  for (uint32_t c : *chain) {
    absl::StatusOr<std::string> data = bytes_->Read(PlaceOf(c), cluster_);
    if (!data.ok()) return data.status();
    out.data += *data;
    out.clusters.push_back(c);
  }
  return out;
}

std::string Fat::LabelIn(const std::string& data) {
  for (size_t at = 0; at + kEntry <= data.size() && data[at] != 0; at += kEntry) {
    const absl::string_view entry(data.data() + at, kEntry);
    const auto attributes = static_cast<uint8_t>(entry[11]);
    if (static_cast<uint8_t>(entry[0]) == 0xe5 || (attributes & 0x3f) == kLongName) continue;
    if ((attributes & (kLabel | kDirectory)) == kLabel) {
      return std::string(absl::StripTrailingAsciiWhitespace(entry.substr(0, 11)));
    }
  }
  return "";
}

std::vector<Fat::Entry> Fat::Entries(const std::string& data) {
  std::vector<Entry> out;
  std::string long_name;
  size_t pieces = 0;
  for (size_t at = 0; at + kEntry <= data.size() && data[at] != 0; at += kEntry) {
    const absl::string_view entry(data.data() + at, kEntry);
    const auto first = static_cast<uint8_t>(entry[0]), attributes = static_cast<uint8_t>(entry[11]);
    if (first == 0xe5) {
      pieces = 0;
      continue;
    }
    if ((attributes & 0x3f) == kLongName) {  // the last piece comes first
      if ((first & 0x40) != 0) {
        long_name.clear();
        pieces = 0;
      }
      if (pieces < 20) long_name = PieceOfLongName(entry) + long_name;
      ++pieces;
      continue;
    }
    const bool label = (attributes & kLabel) != 0;
    if (!label && entry[0] != '.') {
      Entry& e = out.emplace_back();
      e.name = pieces > 0 && pieces <= 20 ? long_name : ShortName(entry);
      e.directory = (attributes & kDirectory) != 0;
      e.first_cluster = Little(entry, 20, 2) << 16 | Little(entry, 26, 2);
      e.size = Little(entry, 28, 4);
      e.at = at;
      e.slots = 1 + std::min(pieces, at / kEntry);
    }
    pieces = 0;
  }
  return out;
}

absl::StatusOr<Fat::Entry> Fat::Find(absl::string_view path) {
  Entry at{.directory = true};
  for (absl::string_view name : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (!at.directory) return absl::NotFoundError(absl::StrCat("no file ", path));
    absl::StatusOr<Directory> directory = ReadDirectory(at.first_cluster);
    if (!directory.ok()) return directory.status();
    const std::vector<Entry> entries = Entries(directory->data);
    auto it = std::find_if(entries.begin(), entries.end(),
                           [&](const Entry& e) { return absl::EqualsIgnoreCase(e.name, name); });
    if (it == entries.end()) return absl::NotFoundError(absl::StrCat("no file ", path));
    at = *it;
  }
  return at;
}

absl::StatusOr<std::vector<Fat::Entry>> Fat::List(absl::string_view directory) {
  absl::StatusOr<Entry> at = Find(directory);
  if (!at.ok()) return at.status();
  if (!at->directory) return absl::NotFoundError(absl::StrCat(directory, " is no directory"));
  absl::StatusOr<Directory> read = ReadDirectory(at->first_cluster);
  if (!read.ok()) return read.status();
  return Entries(read->data);
}

absl::StatusOr<std::string> Fat::ReadFile(absl::string_view path, size_t most) {
  absl::StatusOr<Entry> file = Find(path);
  if (!file.ok()) return file.status();
  if (file->directory) return absl::NotFoundError(absl::StrCat(path, " is a directory"));
  if (file->size > most) {
    return api::Coded(absl::StatusCode::kResourceExhausted, "file-too-large",
                      absl::StrCat(path, " has ", file->size, " bytes, more than ", most));
  }
  std::string out;
  if (file->size == 0) return out;
  absl::StatusOr<std::vector<uint32_t>> chain = Chain(file->first_cluster, file->size - 1);
  if (!chain.ok()) return chain.status();
  for (uint32_t c : *chain) {
    const size_t want = std::min<size_t>(cluster_, file->size - out.size());
    absl::StatusOr<std::string> data = bytes_->Read(PlaceOf(c), want);
    if (!data.ok()) return data.status();
    out += *data;
    if (out.size() == file->size) return out;
  }
  return Damaged(absl::StrCat(path, " ends before its size"));
}

}  // namespace basalt::medium
