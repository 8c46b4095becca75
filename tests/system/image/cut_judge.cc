#include "tests/system/image/cut_judge.h"

#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/engine/generation_store.h"
#include "server/engine/journal.h"
#include "server/host/vfs.h"
#include "server/trust/trust_store.h"
#include "server/update/boot_view.h"
#include "server/update/entry_name.h"
#include "server/update/kernel_image.h"
#include "server/update/record.h"
#include "tests/system/image/lab.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;

// The partitions of the profile vm-amd64, MiB.
constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kEspAt = 1, kSlotAAt = 513, kSlotBAt = 1537, kStateAt = 2561, kStateSize = 256;

absl::Status Broken(absl::string_view what, absl::string_view detail = "") {
  return absl::DataLossError(absl::StrCat(what, detail.empty() ? "" : ": ", detail));
}

// Does `file` lie at `offset` of `disk`, byte for byte?
bool LiesAt(const std::string& file, const std::string& disk, uint64_t offset) {
  std::ifstream a(file, std::ios::binary), b(disk, std::ios::binary);
  b.seekg(static_cast<std::streamoff>(offset));
  std::string left(kMebibyte, '\0'), right(kMebibyte, '\0');
  while (a) {
    a.read(left.data(), static_cast<std::streamsize>(left.size()));
    const auto got = a.gcount();
    if (got == 0) break;
    b.read(right.data(), got);
    if (b.gcount() != got ||
        left.compare(0, static_cast<size_t>(got), right, 0, static_cast<size_t>(got)) != 0) {
      return false;
    }
  }
  return true;
}

// By its header and its sections, as the loader looks at it; nobody reads all of it before it
// boots.
bool IsKernelImage(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return update::InspectKernel([&](uint64_t offset, size_t size) -> absl::StatusOr<std::string> {
           std::string bytes(size, '\0');
           in.clear();
           in.seekg(static_cast<std::streamoff>(offset));
           in.read(bytes.data(), static_cast<std::streamsize>(size));
           bytes.resize(static_cast<size_t>(in.gcount()));
           return bytes;
         })
      .ok();
}

bool SameContent(const std::string& a, const std::string& b) {
  std::error_code error;
  return fs::file_size(a, error) == fs::file_size(b, error) && !error && LiesAt(a, b, 0);
}

}  // namespace

absl::StatusOr<std::string> CutJudge::PickedImage(const std::string& disk) const {
  const std::string esp = absl::StrCat(disk, "@@", kEspAt * kMebibyte);
  const std::string copy = scratch_ + "/kernel.efi", picked_copy = scratch_ + "/picked.efi";
  Ran list = Launch({"mdir", "-b", "-i", esp, "::EFI/Linux"});
  if (list.exit_code != 0) return Broken("the boot partition cannot be read", list.out);
  std::optional<update::EntryName> picked;
  std::string file;
  for (absl::string_view line : absl::StrSplit(list.out, '\n', absl::SkipWhitespace())) {
    const std::string name(line.substr(line.rfind('/') + 1));
    std::optional<update::EntryName> entry = update::ParseEntryName(name);
    // As the loader: those that are given up come last, and what is no kernel image is no entry.
    if (!entry || entry->given_up()) continue;
    if (picked && !update::BootsBefore(*entry, *picked)) continue;
    if (Launch({"mcopy", "-o", "-i", esp, "::EFI/Linux/" + name, copy}).exit_code != 0 ||
        !IsKernelImage(copy)) {
      continue;
    }
    picked = entry;
    file = name;
    fs::rename(copy, picked_copy);
  }
  if (!picked) return Broken("the loader has nothing to boot", list.out);
  for (const Image& image : images_) {
    if (image.version != picked->version) continue;
    if (!SameContent(image.kernel_file, picked_copy)) {
      return Broken("the kernel image that boots is not whole", file);
    }
    if (!LiesAt(image.slot_file, disk, kSlotAAt * kMebibyte) &&
        !LiesAt(image.slot_file, disk, kSlotBAt * kMebibyte)) {
      return Broken("the root of what boots is in no slot whole", file);
    }
    return image.version;
  }
  return Broken("an image boots that nobody made", file);
}

absl::Status CutJudge::ReadState(const std::string& disk, CutVerdict& verdict) const {
  const std::string part = scratch_ + "/state.img", root = scratch_ + "/root";
  fs::remove(part);
  Ran ran = Launch({"dd", "if=" + disk, "of=" + part, "bs=1M", absl::StrCat("skip=", kStateAt),
                    absl::StrCat("count=", kStateSize), "conv=sparse", "status=none"});
  if (ran.exit_code != 0) return Broken("dd", ran.out);
  // As PID 1 does; what it leaves to a person (4 and above) is a loss.
  ran = Launch({"e2fsck", "-p", part});
  if (ran.exit_code == 8) ran = Launch({"e2fsck", "-p", "-b", "32768", "-B", "4096", part});
  if (ran.exit_code > 1) return Broken("e2fsck -p does not mend STATE", ran.out);
  ran = Launch({"e2fsck", "-f", "-n", part});
  if (ran.exit_code != 0) return Broken("STATE is not consistent after its journal", ran.out);
  fs::remove_all(root);
  fs::create_directories(root + "/state");
  ran = Launch({"debugfs", "-R", absl::StrCat("rdump / ", root, "/state"), part});
  if (ran.exit_code != 0) return Broken("debugfs", ran.out);

  absl::StatusOr<std::unique_ptr<host::Vfs>> vfs = host::OpenVfs(root);
  if (!vfs.ok()) return vfs.status();
  absl::StatusOr<trust::TrustStore> trust = trust::TrustStore::Load(**vfs, "");
  if (!trust.ok()) return trust.status();
  if (!trust->warning().empty()) return Broken("a copy of the trust chain", trust->warning());
  absl::StatusOr<engine::Journal> journal = engine::Journal::Open(**vfs, "state/journal");
  if (!journal.ok()) return journal.status();
  if (journal->report().damaged_bytes > 0) return Broken("the journal is damaged");
  engine::GenerationStore store(**vfs, "state/generations");
  if (absl::Status s = store.Open(); !s.ok()) return s;
  verdict.committed = journal->ledger().committed_digest();
  if (absl::Status s = store.Load(verdict.committed).status(); !s.ok()) return s;
  bool record_damaged = false;
  const stored::ImageRecord record = update::RecordFile(**vfs).Read(&record_damaged);
  verdict.pending =
      journal->ledger().has_in_flight() || record.phase() == stored::IMAGE_PHASE_ARMED;
  return absl::OkStatus();
}

absl::StatusOr<CutVerdict> CutJudge::Judge(const std::string& disk) const {
  CutVerdict verdict;
  absl::StatusOr<std::string> version = PickedImage(disk);
  if (!version.ok()) return version.status();
  verdict.version = *std::move(version);
  if (absl::Status s = ReadState(disk, verdict); !s.ok()) return s;
  return verdict;
}

}  // namespace basalt::testing
