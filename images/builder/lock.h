// PROFILE.lock: every Debian package of an image by version and sha256, so that the same recipe
// makes the same image next year. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/base/digest.h"

namespace basalt::image {

struct LockedPackage {
  std::string name;
  std::string version;
  std::string architecture;  // or "all"
  uint64_t size = 0;
  Digest sha256;
  std::string source;  // where in the Debian archive it lay
};

// Lines of six words; '#' starts a comment. Reasons: bad-lock.
absl::StatusOr<std::vector<LockedPackage>> ParseLock(absl::string_view text);
std::string FormatLock(const std::vector<LockedPackage>& packages);

// The package of one stanza that `apt-cache show` prints. Reasons: bad-stanza.
absl::StatusOr<LockedPackage> FromStanza(absl::string_view stanza);
// A field of a stanza; "" when it is not there.
std::string StanzaField(absl::string_view stanza, absl::string_view field);

}  // namespace basalt::image
