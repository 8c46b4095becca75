#include "server/engine/generation_store.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/document.h"

namespace basalt::engine {
namespace {

constexpr absl::string_view kMagic = "BGEN1\n";

std::string FileName(const GenerationStore::Name& name) {
  return absl::StrCat(name.epoch, "-", name.generation, "-", name.digest);
}

std::optional<GenerationStore::Name> ParseName(absl::string_view file) {
  std::vector<absl::string_view> parts = absl::StrSplit(file, '-');
  GenerationStore::Name name;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &name.epoch) ||
      !absl::SimpleAtoi(parts[1], &name.generation) || !Digest::Parse(parts[2]).ok()) {
    return std::nullopt;
  }
  name.digest = std::string(parts[2]);
  // A name is written in one way only: another one for the same would not be found again.
  if (FileName(name) != file || parts[2].size() != 64) return std::nullopt;
  return name;
}

absl::Status Damaged(absl::string_view what) {
  return api::Coded(absl::StatusCode::kDataLoss, "generation-damaged",
                    absl::StrCat("a stored generation is damaged: ", what),
                    "the node falls back to the generation before it; sign and apply a new one");
}

}  // namespace

std::string GenerationStore::Path(const Name& name) const {
  return absl::StrCat(dir_, "/", FileName(name));
}

absl::Status GenerationStore::Open() {
  if (absl::Status status = vfs_->MakeDirs(dir_); !status.ok()) return status;
  absl::StatusOr<std::vector<std::string>> files = vfs_->List(dir_);
  if (!files.ok()) return files.status();
  for (const std::string& file : *files) {
    if (!absl::StartsWith(file, host::kTempPrefix)) continue;
    // Ignoring a failure: it is removed at the next start, or replaced by the next of its name.
    vfs_->Remove(absl::StrCat(dir_, "/", file)).IgnoreError();
  }
  return absl::OkStatus();
}

std::vector<GenerationStore::Name> GenerationStore::Names() const {
  std::vector<Name> names;
  absl::StatusOr<std::vector<std::string>> files = vfs_->List(dir_);
  if (!files.ok()) return names;
  for (const std::string& file : *files) {
    if (std::optional<Name> name = ParseName(file)) names.push_back(*name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status GenerationStore::Put(const stored::StoredGeneration& generation) {
  const stored::Entry& entry = generation.entry();
  std::string payload = generation.SerializeAsString();
  Digest sum = Sha256(payload);
  std::string bytes(kMagic);
  bytes.append(reinterpret_cast<const char*>(sum.bytes.data()), sum.bytes.size());
  bytes += payload;
  std::string path = Path({entry.epoch(), entry.generation(), entry.digest()});
  // One that is sent again was accepted before: its name holds the floor, whatever comes of this.
  const bool known = vfs_->Exists(path);
  absl::Status status = vfs_->Replace(path, bytes);
  // The rename may have happened before the fsync failed: what was refused must not count later.
  if (!status.ok() && !known) vfs_->Remove(path).IgnoreError();
  return status;
}

absl::StatusOr<stored::StoredGeneration> GenerationStore::Load(const Name& name) const {
  absl::StatusOr<std::string> bytes = vfs_->Read(Path(name), 4 << 20);
  if (!bytes.ok()) return bytes.status();
  absl::string_view rest = *bytes;
  if (rest.size() < kMagic.size() + 32 || !absl::StartsWith(rest, kMagic)) {
    return Damaged("no header");
  }
  absl::string_view sum = rest.substr(kMagic.size(), 32);
  absl::string_view payload = rest.substr(kMagic.size() + 32);
  Digest actual = Sha256(payload);
  if (sum != absl::string_view(reinterpret_cast<const char*>(actual.bytes.data()), 32)) {
    return Damaged("checksum");
  }
  stored::StoredGeneration out;
  if (!out.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Damaged("encoding");
  }
  if (sign::DocumentDigest(out.document()).Hex() != name.digest) return Damaged("name");
  return out;
}

absl::StatusOr<stored::StoredGeneration> GenerationStore::Load(const std::string& digest) const {
  for (const Name& name : Names()) {
    if (name.digest == digest) return Load(name);
  }
  return absl::NotFoundError(absl::StrCat("generation ", digest, " is not stored"));
}

void GenerationStore::Prune(size_t count, const std::vector<std::string>& keep) {
  std::vector<Name> names = Names();
  if (names.size() <= count) return;
  names.resize(names.size() - count);
  for (const Name& name : names) {
    if (std::find(keep.begin(), keep.end(), name.digest) != keep.end()) continue;
    // Ignoring a failure: tried again after the next apply.
    vfs_->Remove(Path(name)).IgnoreError();
  }
}

absl::Status GenerationStore::RemoveAll() {
  for (const Name& name : Names()) {
    if (absl::Status status = vfs_->Remove(Path(name)); !status.ok()) return status;
  }
  return vfs_->SyncDir(dir_);
}

}  // namespace basalt::engine
