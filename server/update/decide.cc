#include "server/update/decide.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"

namespace basalt::update {
namespace {

// Beside the file itself: directory, table, and what the loader keeps.
constexpr uint64_t kBootSlack = 1 << 20;
constexpr uint64_t kDataSlack = 16 << 20;

absl::Status Refused(absl::string_view reason, const std::string& what, const std::string& hint) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, reason, what, hint);
}

Move WhileUnderWay(const Situation& now) {
  const stored::ImageRecord& record = now.record;
  const bool runs = now.running == record.target_root();
  const bool wants = now.wanted == record.target_root();
  if (record.phase() == stored::IMAGE_PHASE_ARMED) {
    if (runs) return wants ? Move::kNothing : Move::kReturn;
    if (!wants) return Move::kDisarm;
    return record.boot_id() == now.boot_id ? Move::kArm : Move::kFellBack;
  }
  if (wants) return Move::kFellBack;
  if (!runs) return Move::kReturned;
  return record.returns() < kMostReturns ? Move::kReturn : Move::kStuck;
}

}  // namespace

Move Decide(const Situation& now) {
  if (now.record.phase() == stored::IMAGE_PHASE_ARMED ||
      now.record.phase() == stored::IMAGE_PHASE_RETURNING) {
    return WhileUnderWay(now);
  }
  if (now.wanted.empty() || now.wanted == now.running) return Move::kNothing;
  const bool again = HasHadItsTry(now.record, now.wanted, now.generation);
  return now.prepared && !again ? Move::kArm : Move::kDiffers;
}

bool HasHadItsTry(const stored::ImageRecord& record, const std::string& root, int64_t generation) {
  return (record.phase() == stored::IMAGE_PHASE_FELL_BACK ||
          record.phase() == stored::IMAGE_PHASE_ROLLED_BACK) &&
         record.target_root() == root && generation <= record.generation();
}

absl::Status CheckFits(const sign::ImageManifest& m, const Fits& fits) {
  const std::string name = absl::StrCat("image ", m.version);
  if (m.architecture != fits.architecture) {
    return Refused(
        "image-wrong-architecture",
        absl::StrCat(name, " is for ", m.architecture, ", and this machine is ", fits.architecture),
        "name the manifest of this machine's architecture in system.image");
  }
  if (m.profile != fits.profile) {
    return Refused("image-wrong-profile",
                   absl::StrCat(name, " is of profile ", m.profile, ", and this machine runs ",
                                fits.profile, ": another kernel with other drivers"),
                   "build it with --profile " + fits.profile + ", or install the machine anew");
  }
  if (!fits.wanted_version.empty() && m.version != fits.wanted_version) {
    return Refused("image-version-mismatch",
                   absl::StrCat("the manifest is of version ", m.version,
                                ", and system.image.version says ", fits.wanted_version),
                   "nodectl upgrade writes digest and version together");
  }
  if (m.version == fits.running_version) {
    return Refused("image-same-version",
                   absl::StrCat("another image of version ", m.version,
                                " runs: the boot loader tells images apart by their version"),
                   "build it with another --image-version");
  }
  if (m.epoch < fits.epoch_floor && !fits.allow_downgrade) {
    return Refused("image-below-epoch",
                   absl::StrCat(name, " is of epoch ", m.epoch, ", and this node ran epoch ",
                                fits.epoch_floor, ": images before it are not to run any more"),
                   "a newer image; or consent to it: metadata.allow: [downgrade]");
  }
  const uint64_t slot = static_cast<uint64_t>(m.slot.size);
  const uint64_t kernel = static_cast<uint64_t>(m.kernel.size);
  if (slot > fits.slot_size) {
    return Refused(
        "image-too-large",
        absl::StrCat("the slot of ", name, " has ", slot, " bytes, the partition ", fits.slot_size),
        "a smaller image, or install the machine anew");
  }
  // Twice: its name changes by a copy (host/boot_disk.h).
  if (2 * kernel + kBootSlack > fits.boot_free) {
    return api::Coded(
        absl::StatusCode::kResourceExhausted, "esp-full",
        absl::StrCat("the kernel image of ", name, " needs ", 2 * kernel + kBootSlack,
                     " bytes on the boot partition, and ", fits.boot_free, " can be had"),
        "remove from it what does not belong to the node");
  }
  if (slot + kernel + kDataSlack > fits.data_free) {
    return api::Coded(
        absl::StatusCode::kResourceExhausted, "disk-full",
        absl::StrCat(name, " is fetched to the data disk first: it needs ",
                     slot + kernel + kDataSlack, " bytes there, and ", fits.data_free, " are free"),
        "free space on the data disk, or use a larger one");
  }
  return absl::OkStatus();
}

absl::Status CheckKernel(const KernelImage& kernel, const sign::ImageManifest& m) {
  auto mismatch = [](const std::string& what) {
    return api::Coded(absl::StatusCode::kDataLoss, "image-mismatch", what,
                      "the manifest and its files are not of one build: build the image again");
  };
  if (kernel.root.ToString() != m.root) {
    return mismatch(absl::StrCat("the kernel image boots root ", kernel.root.ToString(),
                                 ", the manifest is of root ", m.root));
  }
  if (kernel.version != m.version || kernel.epoch != m.epoch) {
    return mismatch(absl::StrCat("the kernel image says version ", kernel.version, ", epoch ",
                                 kernel.epoch, "; the manifest ", m.version, ", epoch ", m.epoch));
  }
  if (kernel.image_id != absl::StrCat("basalt-", m.profile)) {
    return mismatch(absl::StrCat("the kernel image is of ", kernel.image_id,
                                 ", the manifest of profile ", m.profile));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<host::BootFile>> MayGo(const BootView& view,
                                                  const std::string& running) {
  const BootEntry* own = view.OfRoot(running);
  const bool on_trial = own != nullptr && own->name.counted && !own->name.given_up();
  std::vector<host::BootFile> files = view.unfinished;
  for (const BootEntry& entry : view.entries) {
    if (entry.kernel && entry.kernel->root.ToString() == running) continue;
    if (on_trial && entry.name.good() && entry.slot) {
      return Refused("image-on-trial",
                     absl::StrCat("version ", own->name.version,
                                  " runs on trial, and an update would overwrite ",
                                  entry.name.version, ", the last good one"),
                     "wait until it is good (nodectl get slot), or restart the machine to go back");
    }
    files.push_back({entry.file, entry.size});
  }
  return files;
}

absl::StatusOr<sign::ImageManifest> CheckManifest(absl::string_view envelope,
                                                  const std::string& digest,
                                                  const v1::TrustPolicy& policy,
                                                  const v1::MachineConfig& node) {
  absl::StatusOr<v1::SignedDocument> document = sign::FromDsseJson(envelope);
  if (!document.ok()) return document.status();
  const std::string found = sign::DocumentDigest(*document).Hex();
  if (found != digest) {
    return api::Coded(
        absl::StatusCode::kDataLoss, "image-mismatch",
        absl::StrCat("the manifest is sha256:", found, ", and the config names sha256:", digest));
  }
  absl::StatusOr<sign::VerifiedDocument> verified =
      sign::Verify(*document, v1::DOCUMENT_TYPE_IMAGE, policy);
  if (!verified.ok()) return verified.status();
  if (absl::Status status = sign::AuthorizeImage(policy, verified->signers(), node); !status.ok()) {
    return status;
  }
  return sign::ParseImageManifest(verified->payload());
}

}  // namespace basalt::update
