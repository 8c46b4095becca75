// The document of type `image`: what belongs to an image of a node, and what it is. image-builder
// writes it, nodectl and noded read it, once its signatures have passed. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "machineconfig/base/digest.h"

namespace basalt::sign {

struct ImageFile {
  std::string name;  // of the file beside the manifest
  int64_t size = 0;
  Digest sha256;
  bool operator==(const ImageFile&) const = default;
};

struct ImageManifest {
  std::string profile;       // "vm-amd64": which machines it is for
  std::string architecture;  // "amd64", "arm64"
  std::string version;
  int64_t epoch = 0;
  absl::Time build_time;
  std::string root;            // "HEX64:BLOCKS"
  ImageFile slot;              // the root file system with its hash tree
  ImageFile kernel;            // the kernel image for the boot partition
  std::string kernel_release;  // "6.1.0-56-cloud-amd64"; "" of images that do not say it
  bool operator==(const ImageManifest&) const = default;
};

// Fields that are not known here are left alone: an older node must be able to read what tells of
// a newer image, and everything that decides what runs is in the known ones. InvalidArgument
// "bad-manifest": not JSON, a field that is missing, there twice or of another type, a name that
// leaves its directory, a size beyond what a slot can be.
absl::StatusOr<ImageManifest> ParseImageManifest(absl::string_view payload);

// Where the file of that name lies, when the manifest lies at `url`: beside it.
std::string BesideManifest(absl::string_view url, absl::string_view name);

}  // namespace basalt::sign
