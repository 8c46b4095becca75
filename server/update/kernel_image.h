// What a kernel image (systemd-boot's stub with sections: a PE program) says of itself, read in
// place and in small pieces: nobody loads 15 MB for 200 bytes. Any bytes may come. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::update {

// Up to `size` bytes from `offset` on; fewer only at the end.
using ReadAt = std::function<absl::StatusOr<std::string>(uint64_t offset, size_t size)>;

// "noded.root=HEX64:BLOCKS" of a command line: which root a kernel image boots.
struct RootId {
  std::string hash;     // 64 lower-case hex digits
  uint64_t blocks = 0;  // of 4 KiB, that the hash covers
  std::string ToString() const;
  bool operator==(const RootId&) const = default;
};
// InvalidArgument for anything else.
absl::StatusOr<RootId> ParseRootId(absl::string_view text);

struct KernelImage {
  RootId root;
  std::string version;   // IMAGE_VERSION of .osrel, by which the loader sorts
  std::string image_id;  // IMAGE_ID: "basalt-PROFILE"
  int64_t epoch = 0;     // BASALT_EPOCH
  bool operator==(const KernelImage&) const = default;
};
// InvalidArgument "bad-kernel-image": no PE program, no such section, a root or a version that is
// none, or two that differ.
absl::StatusOr<KernelImage> InspectKernel(const ReadAt& read);

// The content of a section, without what only pads it; at most `most` bytes of it.
absl::StatusOr<std::string> ReadSection(const ReadAt& read, absl::string_view name, size_t most);

// Is this the superblock (512 bytes) of the hash tree of that root? `images/boot` asks the same
// when it looks for its root.
bool IsSuperblockOf(absl::string_view superblock, const RootId& root);

inline constexpr size_t kSuperblockSize = 512;
inline constexpr uint64_t kBlockSize = 4096;

}  // namespace basalt::update
