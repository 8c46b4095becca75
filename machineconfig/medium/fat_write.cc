// Files added to FAT32. What is written first is what nothing points to yet: the content, then the
// table, then the entry.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "machineconfig/medium/fat.h"

namespace basalt::medium {
namespace {

constexpr size_t kEntry = 32;
constexpr uint8_t kDirectory = 0x10, kArchive = 0x20, kLongName = 0x0f;
constexpr uint32_t kEndOfChain = 0x0fffffff;
constexpr uint32_t kDate = 1 << 5 | 1;  // 1980-01-01: no clock gets onto a medium

absl::Status Full() {
  return api::Coded(absl::StatusCode::kResourceExhausted, "medium-full",
                    "the boot partition has no room left");
}

// What the long name is tied to its short entry with.
uint8_t Checksum(absl::string_view name11) {
  uint8_t sum = 0;
  for (char c : name11) {
    sum = static_cast<uint8_t>((sum << 7 | sum >> 1) + static_cast<uint8_t>(c));
  }
  return sum;
}

// "CONFIG~1JSO": never the name itself, so that a long one always stands before it.
std::string ShortName(absl::string_view name, int number) {
  std::string base, extension;
  const size_t dot = name.rfind('.');
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '.' || i == dot) continue;
    const char c = absl::ascii_isalnum(name[i]) ? absl::ascii_toupper(name[i]) : '_';
    (dot != absl::string_view::npos && i > dot ? extension : base).push_back(c);
  }
  const std::string tail = absl::StrCat("~", number);
  base.resize(std::min(base.size(), 8 - tail.size()));
  base += tail;
  base.resize(8, ' ');
  extension.resize(3, ' ');
  return base + extension;
}

std::string EntriesFor(absl::string_view name, const std::string& name11, uint8_t attributes,
                       uint32_t first, uint32_t size) {
  static constexpr size_t kPlaces[] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
  std::string out;
  const size_t pieces = (name.size() + 12) / 13;
  for (size_t piece = pieces; piece > 0; --piece) {
    std::string entry(kEntry, '\0');
    entry[0] = static_cast<char>(piece | (piece == pieces ? 0x40 : 0));
    entry[11] = kLongName;
    entry[13] = static_cast<char>(Checksum(name11));
    for (size_t i = 0; i < 13; ++i) {
      const size_t at = (piece - 1) * 13 + i;
      PutLittle(entry, kPlaces[i], 2,
                at < name.size()    ? static_cast<uint8_t>(name[at])
                : at == name.size() ? 0
                                    : 0xffff);
    }
    out += entry;
  }
  std::string entry(kEntry, '\0');
  entry.replace(0, 11, name11);
  entry[11] = static_cast<char>(attributes);
  for (size_t at : {16, 18, 24}) PutLittle(entry, at, 2, kDate);
  PutLittle(entry, 20, 2, first >> 16);
  PutLittle(entry, 26, 2, first & 0xffff);
  PutLittle(entry, 28, 4, size);
  return out + entry;
}

bool GoodName(absl::string_view name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
         });
}

}  // namespace

void Fat::SetNext(uint32_t cluster, uint32_t next) {
  const uint32_t old = Little(table_, size_t{cluster} * 4, 4);
  PutLittle(table_, size_t{cluster} * 4, 4, (old & 0xf0000000) | (next & 0x0fffffff));
}

absl::StatusOr<std::vector<uint32_t>> Fat::Allocate(size_t count) {
  std::vector<uint32_t> out;
  for (uint32_t c = 2; out.size() < count; ++c) {
    if (c - 2 >= clusters_) return Full();
    if ((Little(table_, size_t{c} * 4, 4) & 0x0fffffff) == 0) out.push_back(c);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    SetNext(out[i], i + 1 < out.size() ? out[i + 1] : kEndOfChain);
  }
  return out;
}

// All copies, and how much is free.
absl::Status Fat::WriteTable() {
  for (uint32_t copy = 0; copy < copies_; ++copy) {
    for (uint64_t at = 0; at < table_.size(); at += sector_) {
      const absl::string_view sector(table_.data() + at,
                                     std::min<size_t>(sector_, table_.size() - at));
      const uint64_t place = table_at_ + copy * table_size_ + at;
      absl::StatusOr<std::string> there = bytes_->Read(place, sector.size());
      if (there.ok() && *there == sector) continue;
      if (absl::Status s = bytes_->Write(place, sector); !s.ok()) return s;
    }
  }
  if (info_at_ == 0) return absl::OkStatus();
  absl::StatusOr<std::string> info = bytes_->Read(info_at_, 512);
  if (!info.ok()) return info.status();
  if (Little(*info, 0, 4) != 0x41615252 || Little(*info, 484, 4) != 0x61417272) {
    return absl::OkStatus();  // none, whatever the head says: it is a hint
  }
  uint32_t free = 0;
  for (uint32_t c = 2; c - 2 < clusters_; ++c) {
    free += (Little(table_, size_t{c} * 4, 4) & 0x0fffffff) == 0;
  }
  PutLittle(*info, 488, 4, free);
  PutLittle(*info, 492, 4, 0xffffffff);
  return bytes_->Write(info_at_, *info);
}

absl::Status Fat::WriteDirectory(const Directory& directory) {
  for (size_t i = 0; i < directory.clusters.size(); ++i) {
    absl::Status s =
        bytes_->Write(PlaceOf(directory.clusters[i]),
                      absl::string_view(directory.data).substr(i * cluster_, cluster_));
    if (!s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Fat::PutEntry(uint32_t directory, absl::string_view name, uint8_t attributes,
                           uint32_t first, uint32_t size) {
  absl::StatusOr<Directory> dir = ReadDirectory(directory);
  if (!dir.ok()) return dir.status();
  std::string& data = dir->data;
  std::vector<uint32_t> freed;
  for (const Entry& e : Entries(data)) {
    if (!absl::EqualsIgnoreCase(e.name, name)) continue;
    for (size_t i = 0; i < e.slots; ++i) data[e.at - i * kEntry] = static_cast<char>(0xe5);
    if (e.first_cluster >= 2) {
      absl::StatusOr<std::vector<uint32_t>> chain = Chain(e.first_cluster, e.size);
      if (chain.ok()) freed = *std::move(chain);
    }
  }
  int number = 1;
  const auto taken = [&](const std::string& name11) {
    for (size_t at = 0; at + kEntry <= data.size() && data[at] != 0; at += kEntry) {
      if (absl::string_view(data).substr(at, 11) == name11) return true;
    }
    return false;
  };
  while (number < 99 && taken(ShortName(name, number))) ++number;
  const std::string entries = EntriesFor(name, ShortName(name, number), attributes, first, size);
  // As many free slots in a row; behind the end all are.
  size_t run = 0, at = 0;
  bool ended = false;
  for (; at + kEntry <= data.size() && run < entries.size(); at += kEntry) {
    ended |= data[at] == 0;
    run = ended || static_cast<uint8_t>(data[at]) == 0xe5 ? run + kEntry : 0;
  }
  const size_t start = at - run;
  if (run < entries.size()) {
    absl::StatusOr<std::vector<uint32_t>> more = Allocate(1);
    if (!more.ok()) return more.status();
    SetNext(dir->clusters.back(), more->front());
    dir->clusters.push_back(more->front());
    data.resize(data.size() + cluster_, '\0');
  }
  data.replace(start, entries.size(), entries);
  for (uint32_t c : freed) SetNext(c, 0);
  if (absl::Status s = WriteTable(); !s.ok()) return s;
  return WriteDirectory(*dir);
}

absl::StatusOr<uint32_t> Fat::EnterOrMake(uint32_t parent, absl::string_view name) {
  absl::StatusOr<Directory> dir = ReadDirectory(parent);
  if (!dir.ok()) return dir.status();
  for (const Entry& e : Entries(dir->data)) {
    if (!absl::EqualsIgnoreCase(e.name, name)) continue;
    if (e.directory && e.first_cluster >= 2) return e.first_cluster;
    return absl::FailedPreconditionError(absl::StrCat(name, " is a file"));
  }
  absl::StatusOr<std::vector<uint32_t>> made = Allocate(1);
  if (!made.ok()) return made.status();
  std::string data(cluster_, '\0');
  std::string self = EntriesFor("", ".          ", kDirectory, made->front(), 0);
  std::string up = EntriesFor("", "..         ", kDirectory, parent, 0);
  data.replace(0, kEntry, self);
  data.replace(kEntry, kEntry, up);
  if (absl::Status s = bytes_->Write(PlaceOf(made->front()), data); !s.ok()) return s;
  if (absl::Status s = PutEntry(parent, name, kDirectory, made->front(), 0); !s.ok()) return s;
  return made->front();
}

absl::Status Fat::WriteFile(absl::string_view path, absl::string_view content) {
  if (kind_ != Kind::k32) {
    return api::Coded(absl::StatusCode::kUnimplemented, "not-fat32",
                      "files are added to FAT32 alone, and this is an older kind of FAT");
  }
  const std::vector<absl::string_view> names = absl::StrSplit(path, '/');
  for (absl::string_view name : names) {
    if (!GoodName(name))
      return absl::InvalidArgumentError(absl::StrCat("no name of a file: ", path));
  }
  uint32_t directory = 0;  // the root, also as the parent that ".." names
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    absl::StatusOr<uint32_t> inner = EnterOrMake(directory, names[i]);
    if (!inner.ok()) return inner.status();
    directory = *inner;
  }
  std::vector<uint32_t> clusters;
  if (!content.empty()) {
    absl::StatusOr<std::vector<uint32_t>> made =
        Allocate((content.size() + cluster_ - 1) / cluster_);
    if (!made.ok()) return made.status();
    clusters = *std::move(made);
  }
  for (size_t i = 0; i < clusters.size(); ++i) {
    std::string piece(content.substr(i * cluster_, cluster_));
    piece.resize(cluster_, '\0');
    if (absl::Status s = bytes_->Write(PlaceOf(clusters[i]), piece); !s.ok()) return s;
  }
  return PutEntry(directory, names.back(), kArchive, clusters.empty() ? 0 : clusters.front(),
                  static_cast<uint32_t>(content.size()));
}

}  // namespace basalt::medium
