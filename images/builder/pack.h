// A directory becomes a file that is mounted with dm-verity: erofs and its hash tree. Slots and
// extensions are made alike.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "images/builder/formats/verity.h"
#include "images/builder/host.h"

namespace basalt::image {

// The salt of all trees; not a secret.
std::string VeritySalt();

// `label` decides the file system's UUID; `file` is where the file system lies meanwhile. The same
// tree, label and time give the same bytes. Reasons: tool-failed, io-failed, bad-size.
absl::StatusOr<VeritySlot> PackSlot(const Tools& tools, const std::string& directory,
                                    const std::string& label, const std::string& file);

}  // namespace basalt::image
