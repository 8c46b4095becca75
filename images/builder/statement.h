// What is said about an image beside it: the parts it is made of (SPDX 2.3), and the manifest that
// is signed. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "images/builder/lock.h"
#include "images/builder/recipe.h"
#include "images/builder/root.h"
#include "machineconfig/base/digest.h"

namespace basalt::image {

// What an SBOM is of: "basalt-vm-amd64", "OPERATING-SYSTEM".
struct SbomSubject {
  std::string name;
  std::string purpose;       // as SPDX calls it
  bool has_programs = true;  // of our own
};

// SPDX 2.3 as JSON: the image, our programs, and each Debian package by version, purl and sha256.
std::string MakeSbom(const SbomSubject& subject, const ImageInfo& info,
                     const std::vector<LockedPackage>& packages);

struct Artifact {
  std::string name;  // of the file beside the manifest
  uint64_t size = 0;
  Digest sha256;
};

struct Manifest {
  Artifact slot, kernel, sbom;
  Digest root_hash;
  uint64_t data_blocks = 0;
};

// The document of type `image`: kind Image, as YAML that is JSON. A node takes an image by the
// digest of this, so everything that decides what runs is in it.
std::string FormatManifest(const Recipe& recipe, const ImageInfo& info, const Manifest& manifest);

}  // namespace basalt::image
