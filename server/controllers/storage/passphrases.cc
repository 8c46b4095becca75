#include "server/controllers/storage/passphrases.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "machineconfig/base/digest.h"

namespace basalt::storage {
namespace {

constexpr size_t kMostBytes = 64 << 10;

void Wipe(std::string* text) { explicit_bzero(text->data(), text->size()); }

}  // namespace

Passphrases& Passphrases::operator=(Passphrases&& other) noexcept {
  if (this == &other) return *this;
  Clear();
  by_name_ = std::move(other.by_name_);
  other.by_name_.clear();
  return *this;
}

void Passphrases::Clear() {
  for (auto& [name, passphrase] : by_name_) Wipe(&passphrase);
  by_name_.clear();
}

void Passphrases::Add(const std::string& name, std::string passphrase) {
  by_name_[name] = std::move(passphrase);
}

const std::string& Passphrases::Of(const std::string& name) const {
  static const std::string kNone;
  auto it = by_name_.find(name);
  return it != by_name_.end() ? it->second : kNone;
}

Passphrases TakePassphrases(v1::Storage* storage) {
  Passphrases out;
  auto take = [&](const std::string& name, v1::Encryption* encryption) {
    if (!encryption->has_passphrase()) return;
    if (encryption->passphrase().has_plain()) out.Add(name, encryption->passphrase().plain());
    Wipe(encryption->mutable_passphrase()->mutable_plain());
    encryption->clear_passphrase();
  };
  if (storage->has_encryption()) take("", storage->mutable_encryption());
  for (v1::Volume& volume : *storage->mutable_volumes()) {
    if (volume.has_encryption()) take(volume.name(), volume.mutable_encryption());
  }
  return out;
}

Applied ParseApplied(absl::string_view text) {
  Applied out;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    if (words.size() != 3 || words[0].empty()) continue;
    out.emplace(words[0], absl::StrCat(words[1], " ", words[2]));
  }
  return out;
}

Applied LoadApplied(host::Vfs& vfs) {
  return ParseApplied(vfs.Read(kAppliedPath, kMostBytes).value_or(""));
}

absl::Status StoreApplied(host::Vfs& vfs, const Applied& applied) {
  std::string text;
  for (const auto& [name, digest] : applied) absl::StrAppend(&text, name, " ", digest, "\n");
  return vfs.Replace(kAppliedPath, text);
}

std::string DigestOf(absl::string_view salt, absl::string_view passphrase) {
  std::string text = absl::StrCat(salt, " ", passphrase);
  std::string digest = absl::StrCat(salt, " ", Sha256(text).Hex());
  Wipe(&text);
  return digest;
}

bool IsApplied(const Applied& applied, const std::string& name, absl::string_view passphrase) {
  auto it = applied.find(name);
  if (it == applied.end()) return false;
  const absl::string_view salt = absl::string_view(it->second).substr(0, it->second.find(' '));
  return DigestOf(salt, passphrase) == it->second;
}

std::deque<Passphrase> ToChange(const Passphrases& secrets, const v1::Storage& wanted,
                                const StorageFacts& facts, const Applied& applied) {
  std::deque<Passphrase> out;
  auto look = [&](const std::string& name, const std::string& from,
                  const PartitionFacts* partition) {
    if (partition == nullptr || partition->content != Content::kLuks) return;
    const std::string& passphrase = secrets.Of(from);
    const bool as_wanted = passphrase.empty()
                               ? !partition->lock.recovery
                               : partition->lock.recovery && IsApplied(applied, name, passphrase);
    if (!as_wanted) out.push_back({name, partition->at.device, from});
  };
  // Without the section nothing is said of it, so it stays.
  if (wanted.has_encryption()) {
    look("STATE", "", facts.State());
    look("DATA", "", facts.Data());
  }
  for (const v1::Volume& volume : wanted.volumes()) {
    if (!volume.has_encryption()) continue;
    for (const DiskFacts& disk : facts.disks) {
      for (const PartitionFacts& partition : disk.partitions) {
        const host::BlockMount* mount = facts.MountOf(partition.at.device);
        if (mount == nullptr || partition.at.name != volume.name()) continue;
        look(volume.name(), volume.name(), &partition);
      }
    }
  }
  return out;
}

}  // namespace basalt::storage
