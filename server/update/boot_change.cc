#include "server/update/boot_change.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"

namespace basalt::update {
namespace {

constexpr size_t kPiece = 1 << 20;

absl::Status Damaged(absl::string_view reason, const std::string& what) {
  return api::Coded(absl::StatusCode::kDataLoss, reason, what,
                    "try again; when it happens once more the disk is failing");
}

absl::StatusOr<std::string> ReadFile(int fd, int64_t at, size_t size) {
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = pread(fd, bytes.data() + done, size - done, at + static_cast<int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return absl::UnavailableError(absl::StrCat("reading what was fetched: ", strerror(errno)));
    }
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

// sha256 of the first `size` bytes of something, "" when it is shorter.
absl::StatusOr<std::string> HashOf(const ReadAt& read, int64_t size) {
  Sha256Stream hash;
  for (int64_t at = 0; at < size;) {
    const size_t piece = static_cast<size_t>(std::min<int64_t>(size - at, kPiece));
    absl::StatusOr<std::string> bytes = read(static_cast<uint64_t>(at), piece);
    if (!bytes.ok()) return bytes;
    if (bytes->size() != piece) return std::string();
    hash.Update(*bytes);
    at += static_cast<int64_t>(piece);
  }
  return hash.Finish().Hex();
}

ReadAt Reading(host::BootFiles& files, const std::string& name) {
  return [&files, name](uint64_t offset, size_t size) { return files.Read(name, offset, size); };
}

ReadAt Reading(host::BootDisk& disk, host::BootSlot slot) {
  return [&disk, slot](uint64_t offset, size_t size) { return disk.ReadSlot(slot, offset, size); };
}

static_assert(kUnfinished == host::kUnfinishedEnd);

std::string TrialName(const std::string& version) {
  return FormatEntryName({.version = version, .counted = true, .left = kTries});
}

absl::Status RenameTo(host::BootFiles& files, const std::string& from, const EntryName& to) {
  const std::string name = FormatEntryName(to);
  return from == name ? absl::OkStatus() : files.Rename(from, name);
}

absl::Status MakeGood(host::BootFiles& files, const BootEntry& entry) {
  return RenameTo(files, entry.file, {.version = entry.name.version});
}

// What a power cut left of a rename: the same kernel image under two names. The one that the loader
// would not take goes, so that there is one of it to be called good or given up.
absl::Status DropDoubles(host::BootFiles& files, const BootView& view) {
  for (const BootEntry& entry : view.entries) {
    if (!entry.kernel) continue;
    const BootEntry* preferred = view.OfRoot(entry.kernel->root.ToString());
    if (preferred == nullptr || preferred->file == entry.file || preferred->size != entry.size) {
      continue;
    }
    if (absl::Status status = files.Remove(entry.file); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status GiveUp(host::BootFiles& files, const BootEntry& entry) {
  if (entry.name.given_up()) return absl::OkStatus();
  return RenameTo(files, entry.file,
                  {.version = entry.name.version,
                   .counted = true,
                   .left = 0,
                   .done = std::max(entry.name.done, 1)});
}

}  // namespace

struct SlotCopy::Hash {
  Sha256Stream stream;
};

SlotCopy::SlotCopy(host::BootDisk& disk, host::BootSlot slot, std::shared_ptr<host::UniqueFd> from,
                   const sign::ImageManifest& manifest)
    : disk_(disk),
      slot_(slot),
      from_(std::move(from)),
      size_(manifest.slot.size),
      wanted_(manifest.slot.sha256),
      root_(manifest.root),
      hash_(std::make_unique<Hash>()) {}
SlotCopy::~SlotCopy() = default;

absl::StatusOr<bool> SlotCopy::Step() {
  if (done_ >= size_) return ReadBack();
  if (absl::Status status = Write(); !status.ok()) return status;
  if (done_ < size_) return false;
  if (hash_->stream.Finish() != wanted_) {
    return Damaged("artifact-damaged", "what was fetched changed while it was written to the slot");
  }
  hash_ = std::make_unique<Hash>();
  if (absl::Status status = disk_.SyncSlot(slot_); !status.ok()) return status;
  return false;
}

absl::Status SlotCopy::Write() {
  const size_t piece = static_cast<size_t>(std::min<int64_t>(size_ - done_, kPiece));
  absl::StatusOr<std::string> bytes = ReadFile(from_->get(), done_, piece);
  if (!bytes.ok()) return bytes.status();
  if (bytes->size() != piece) {
    return Damaged("artifact-damaged", "what was fetched is shorter than the manifest says");
  }
  hash_->stream.Update(*bytes);
  absl::Status status = disk_.WriteSlot(slot_, static_cast<uint64_t>(done_), *bytes);
  if (status.ok()) done_ += static_cast<int64_t>(piece);
  return status;
}

absl::StatusOr<bool> SlotCopy::ReadBack() {
  const int64_t at = done_ - size_;
  const size_t piece = static_cast<size_t>(std::min<int64_t>(size_ - at, kPiece));
  absl::StatusOr<std::string> bytes = disk_.ReadSlot(slot_, static_cast<uint64_t>(at), piece);
  if (!bytes.ok()) return bytes.status();
  hash_->stream.Update(*bytes);
  done_ += static_cast<int64_t>(piece);
  if (done_ < 2 * size_) return false;
  if (hash_->stream.Finish() != wanted_) {
    return Damaged("slot-damaged", absl::StrCat("slot ", host::ToString(slot_),
                                                " gives back other bytes than were written to it"));
  }
  absl::StatusOr<RootId> root = ParseRootId(root_);
  if (!root.ok()) return root.status();
  absl::StatusOr<std::string> superblock =
      disk_.ReadSlot(slot_, root->blocks * kBlockSize, kSuperblockSize);
  if (!superblock.ok()) return superblock.status();
  if (!IsSuperblockOf(*superblock, *root)) {
    return api::Coded(absl::StatusCode::kDataLoss, "image-mismatch",
                      absl::StrCat("the slot of the image holds another root than ", root_),
                      "the manifest and its files are not of one build: build the image again");
  }
  return true;
}

absl::StatusOr<bool> SlotHolds(host::BootDisk& disk, host::BootSlot slot,
                               const sign::ImageManifest& manifest) {
  absl::StatusOr<RootId> root = ParseRootId(manifest.root);
  if (!root.ok()) return root.status();
  // The cheap question first.
  absl::StatusOr<std::string> superblock =
      disk.ReadSlot(slot, root->blocks * kBlockSize, kSuperblockSize);
  if (!superblock.ok()) return superblock.status();
  if (!IsSuperblockOf(*superblock, *root)) return false;
  absl::StatusOr<std::string> found = HashOf(Reading(disk, slot), manifest.slot.size);
  if (!found.ok()) return found.status();
  return *found == manifest.slot.sha256.Hex();
}

absl::StatusOr<std::string> FindKernel(host::BootFiles& files, const BootView& view,
                                       const sign::ImageManifest& manifest) {
  std::vector<host::BootFile> candidates;
  for (const BootEntry& entry : view.entries) {
    if (entry.name.version == manifest.version) candidates.push_back({entry.file, entry.size});
  }
  for (const host::BootFile& file : view.unfinished) {
    if (file.name == absl::StrCat(TrialName(manifest.version), kUnfinished)) {
      candidates.push_back(file);
    }
  }
  for (const host::BootFile& file : candidates) {
    if (file.size != manifest.kernel.size) continue;
    absl::StatusOr<std::string> found = HashOf(Reading(files, file.name), file.size);
    if (!found.ok()) return found.status();
    if (*found == manifest.kernel.sha256.Hex()) return file.name;
  }
  return std::string();
}

absl::Status WriteKernel(host::BootFiles& files, int from, const sign::ImageManifest& manifest) {
  const std::string name = absl::StrCat(TrialName(manifest.version), kUnfinished);
  if (absl::Status status = files.Remove(name); !status.ok()) return status;
  for (int64_t at = 0; at < manifest.kernel.size;) {
    const size_t piece = static_cast<size_t>(std::min<int64_t>(manifest.kernel.size - at, kPiece));
    absl::StatusOr<std::string> bytes = ReadFile(from, at, piece);
    absl::Status status = bytes.ok() ? files.Append(name, *bytes) : bytes.status();
    if (!status.ok()) {
      // Ignoring a failure: it is found again as what may go.
      (void)files.Remove(name);
      return status;
    }
    at += static_cast<int64_t>(piece);
  }
  if (absl::Status status = files.Sync(name); !status.ok()) return status;
  absl::StatusOr<std::string> found = HashOf(Reading(files, name), manifest.kernel.size);
  if (!found.ok()) return found.status();
  if (*found == manifest.kernel.sha256.Hex()) return absl::OkStatus();
  return Damaged("kernel-damaged",
                 absl::StrCat(name, " on the boot partition has other bytes than were written"));
}

absl::Status Arm(host::BootFiles& files, const BootView& view, const std::string& root,
                 const std::string& version, const std::string& running) {
  if (absl::Status status = DropDoubles(files, view); !status.ok()) return status;
  const EntryName trial{.version = version, .counted = true, .left = kTries};
  const std::string name = FormatEntryName(trial);
  const BootEntry* entry = view.OfRoot(root);
  std::string from = absl::StrCat(name, kUnfinished);
  if (entry != nullptr && entry->slot) from = entry->file;
  if (from != name) {
    if (absl::Status status = files.Rename(from, name); !status.ok()) return status;
  }
  const BootEntry* own = view.OfRoot(running);
  if (own == nullptr || BootsBefore(trial, own->name)) return absl::OkStatus();
  return GiveUp(files, *own);
}

absl::Status Disarm(host::BootFiles& files, const BootView& view, const std::string& root,
                    bool was_good, const std::string& running) {
  if (absl::Status status = DropDoubles(files, view); !status.ok()) return status;
  // The running one first: a cut after it leaves two, and each of them boots.
  if (const BootEntry* own = view.OfRoot(running); own != nullptr && own->name.given_up()) {
    if (absl::Status status = MakeGood(files, *own); !status.ok()) return status;
  }
  const BootEntry* entry = view.OfRoot(root);
  if (entry == nullptr || root == running) return absl::OkStatus();
  return was_good ? MakeGood(files, *entry) : GiveUp(files, *entry);
}

absl::Status GoBack(host::BootFiles& files, const BootView& view, const std::string& root,
                    const std::string& running) {
  if (absl::Status status = DropDoubles(files, view); !status.ok()) return status;
  const BootEntry* before = view.OfRoot(root);
  if (before == nullptr || !before->slot || root == running) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "no-image-to-return-to",
                      "the image before is not on the disk any more",
                      "nodectl get slot shows what is; nodectl upgrade writes another one");
  }
  if (absl::Status status = MakeGood(files, *before); !status.ok()) return status;
  const BootEntry* own = view.OfRoot(running);
  return own == nullptr ? absl::OkStatus() : GiveUp(files, *own);
}

}  // namespace basalt::update
