// What is to be done about the image, as pure functions of what is known.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "machineconfig/sign/image_manifest.h"
#include "machineconfig/sign/policy.h"
#include "server/update/boot_view.h"
#include "server/update/record.pb.h"

namespace basalt::update {

// What an execute finds to do.
//
//   phase         running   the config wants    boot     ->
//   ARMED         target    target              -        kNothing: it is on trial
//   ARMED         target    something else      -        kReturn
//   ARMED         another   target              same     kArm (again: a restart of noded)
//   ARMED         another   target              another  kFellBack
//   ARMED         another   something else      -        kDisarm
//   RETURNING     target    target              -        kFellBack
//   RETURNING     target    something else      -        kReturn, kStuck after kMostReturns boots
//   RETURNING     another   target              -        kFellBack
//   RETURNING     another   something else      -        kReturned
//   others        the same as is wanted, or none is named kNothing
//   others        another than is wanted, and a Prepare of this config has put it there: kArm
//   others        another, and not prepared, or this config or an older one has had its try:
//   kDiffers
enum class Move {
  kNothing,
  kArm,
  kDisarm,
  kReturn,
  kReturned,
  kFellBack,
  kStuck,
  kDiffers,
};

inline constexpr int kMostReturns = 3;

struct Situation {
  std::string running;  // root
  std::string wanted;   // root of the image that the config names; "": none, or not known
  std::string boot_id;
  int64_t generation = 0;  // of that config
  bool prepared = false;
  stored::ImageRecord record;
};
Move Decide(const Situation& now);

// A config that has had its try: neither fetched nor armed again. Another attempt is another
// generation.
bool HasHadItsTry(const stored::ImageRecord& record, const std::string& root, int64_t generation);

// What an image has to fit.
struct Fits {
  std::string architecture;
  std::string profile;  // of the image that runs
  std::string running_version;
  std::string wanted_version;  // by the config; "": any
  int64_t epoch_floor = 0;
  bool allow_downgrade = false;  // metadata.allow: [downgrade]
  uint64_t slot_size = 0;
  uint64_t boot_free = 0;  // with what may be removed
  uint64_t data_free = 0;
};
// Before anything is written. FailedPrecondition: image-wrong-architecture, image-wrong-profile,
// image-version-mismatch, image-same-version, image-below-epoch, image-too-large;
// ResourceExhausted: esp-full, disk-full.
absl::Status CheckFits(const sign::ImageManifest& manifest, const Fits& fits);

// The kernel image that was fetched against the manifest: they must tell of the same image.
// DataLoss "image-mismatch".
absl::Status CheckKernel(const KernelImage& kernel, const sign::ImageManifest& manifest);

// Files that go before the other slot is written: all that lead to neither this root nor to a
// running system, and what a write left unfinished. FailedPrecondition "image-on-trial": the one
// that runs is not good yet, and the one that would go is.
absl::StatusOr<std::vector<host::BootFile>> MayGo(const BootView& view, const std::string& running);

// Signatures, grant and digest of a manifest as it was fetched. PermissionDenied, InvalidArgument:
// those of sign; DataLoss "image-mismatch": another document than the config names.
absl::StatusOr<sign::ImageManifest> CheckManifest(absl::string_view envelope,
                                                  const std::string& digest,
                                                  const v1::TrustPolicy& policy,
                                                  const v1::MachineConfig& node);

}  // namespace basalt::update
