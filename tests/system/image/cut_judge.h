// Judges a disk as a power cut left it, without booting it: what the boot loader would start,
// whether that and its root are whole, and which config the node would find in force. By foreign
// tools (mtools, e2fsck, debugfs) and by the parts of noded that read these things.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace basalt::testing {

struct CutVerdict {
  std::string version;    // of the image that the loader would boot
  std::string committed;  // digest of the config in force
  bool pending = false;   // an apply is under way, or an image on trial: noded decides at its start
  bool operator==(const CutVerdict&) const = default;
};

class CutJudge {
 public:
  struct Image {
    std::string version, kernel_file, slot_file;
  };
  CutJudge(std::string scratch, std::vector<Image> images)
      : scratch_(std::move(scratch)), images_(std::move(images)) {}

  // An error is a disk that no node would recover from by itself.
  absl::StatusOr<CutVerdict> Judge(const std::string& disk) const;

 private:
  absl::StatusOr<std::string> PickedImage(const std::string& disk) const;
  absl::Status ReadState(const std::string& disk, CutVerdict& verdict) const;

  const std::string scratch_;
  const std::vector<Image> images_;
};

}  // namespace basalt::testing
