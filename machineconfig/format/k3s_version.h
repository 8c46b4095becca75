// Versions of K3s releases: "v1.30.4+k3s1", "v1.31.0-rc2+k3s1". Pure, thread-safe.
#pragma once

#include <compare>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::format {

// Ordered as released: a release candidate (rc > 0) comes before the release (rc = 0).
struct K3sVersion {
  int major = 0;
  int minor = 0;
  int patch = 0;
  int k3s_revision = 0;
  int rc = 0;

  std::string ToString() const;
  bool operator==(const K3sVersion&) const = default;
  std::strong_ordering operator<=>(const K3sVersion& other) const;
};

// Development builds ("v1.21.2+k3s-3f4a91c0") are refused: they cannot be ordered.
absl::StatusOr<K3sVersion> ParseK3sVersion(absl::string_view text);

}  // namespace basalt::format
