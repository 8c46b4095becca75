// Amounts of bytes: "512Mi", "2G", "100". Pure, thread-safe.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::format {

// A whole number with no suffix, k M G T (powers of 1000) or Ki Mi Gi Ti (powers of 1024).
absl::StatusOr<int64_t> ParseQuantity(absl::string_view text);

}  // namespace basalt::format
