// The structures of ISO 9660 and El Torito that make a disk image a bootable disc as well. They lie
// between the partition table and the first partition, where a disk has nothing: one file is a CD
// for firmware and people, and a GPT disk for whoever writes it to a stick. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace basalt::image {

inline constexpr uint64_t kDiscBlock = 2048;
inline constexpr uint64_t kIsoAt = 16 * kDiscBlock;  // behind the 34 sectors of a GPT

struct IsoFile {
  std::string name;     // "SLOT.IMG": capitals, digits, '_', one '.'
  uint64_t offset = 0;  // bytes from the start; a multiple of kDiscBlock
  uint64_t size = 0;
};

struct IsoSpec {
  std::string volume;          // name of the disc
  uint64_t size = 0;           // of everything, a multiple of kDiscBlock
  uint64_t esp = 0;            // where firmware finds the boot partition, bytes
  std::vector<IsoFile> files;  // what a person sees who looks at the disc
  std::string readme;          // README.TXT, at most one block
  absl::Time time;
};

// What belongs at kIsoAt. Reasons: bad-disc (names, places, sizes).
absl::StatusOr<std::string> MakeIso(const IsoSpec& spec);

}  // namespace basalt::image
