// The unified kernel image: systemd-boot's EFI stub with kernel, initramfs, command line and
// release text as further sections, in one file that a signature covers whole. Pure. Written here
// and not by objcopy, so that an arm64 image needs no arm64 tools, and no build time gets in.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::image {

struct UkiParts {
  std::string os_release;
  std::string command_line;
  std::string kernel_version;
  std::string kernel;
  std::string initramfs;
  // Without them the sections are not there: who signs policies about PCR 11, and such a signature.
  std::string pcr_public_key;
  std::string pcr_signature;
};

// What a stub has behind its sections (symbols, that nothing loads) stays out: a signature covers
// sections, and there is to be nothing between them. Reasons: bad-stub (no PE32+ program, no room
// for the sections), too-large.
absl::StatusOr<std::string> MakeUki(absl::string_view stub, const UkiParts& parts);

// The content of a section, without what only pads it. Reasons: bad-stub, no-section.
absl::StatusOr<std::string> UkiSection(absl::string_view uki, absl::string_view name);

}  // namespace basalt::image
