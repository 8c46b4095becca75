// The install medium: a disc, and the same bytes a stick, with a boot partition and one slot. A
// node that starts from it keeps nothing and puts itself onto a disk when it is told to.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "images/builder/disk.h"
#include "images/builder/host.h"

namespace basalt::image {

struct MediumSpec {
  std::string path;   // of the medium
  std::string id;     // makes its GUIDs
  std::string title;  // "Basalt 0.1.0 (metal-amd64)"
  std::string slot;   // file
  std::vector<EspFile> esp;
  std::string scratch;  // directory
};

// Reasons: bad-disc, and those of MakeEsp.
absl::Status MakeMedium(const Tools& tools, MediumSpec spec);

}  // namespace basalt::image
