// What a Linux kernel says of itself. Pure.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::image {

// The release of a kernel image ("6.1.0-56-amd64"): a bzImage of amd64 or an uncompressed Image of
// arm64. Reasons: bad-kernel.
absl::StatusOr<std::string> KernelRelease(absl::string_view kernel);

}  // namespace basalt::image
