// How a disk is divided that the image is installed onto: as the image builder divides one
// (images/recipe/*.profile; a test compares), the rest being DATA's. Pure.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/gpt/gpt.h"
#include "server/host/block.h"

namespace basalt::install {

struct Place {
  int number = 0;
  const char* name = "";
  uint64_t start = 0, size = 0;  // bytes
};

struct Layout {
  Place esp, slot_a, slot_b, state, data;
};

inline constexpr uint64_t kMebibyte = 1 << 20;
inline constexpr uint64_t kSmallestData = 1024 * kMebibyte;

// `data_limit`: DATA has at most so much, 0: all there is. FailedPrecondition "disk-too-small".
absl::StatusOr<Layout> LayOut(const host::BlockDisk& disk, uint64_t data_limit);

// `id`: 16 bytes, of the disk; `ids`: random bytes, 16 for each partition.
gpt::Table MakeInstalledTable(const host::BlockDisk& disk, const Layout& layout,
                              absl::string_view id, absl::string_view ids);

// What the disk is known by that this document was installed onto: made of what tells one signed
// config of a node from another. So a medium that is started again does not install again.
std::string InstallId(absl::string_view cluster, absl::string_view name, int64_t epoch,
                      int64_t generation);

// A file system for the boot partition, with nothing on it: FAT32, for firmware reads no other.
// What belongs at its begin; behind it everything may stay as it is.
std::string MakeFat32(uint64_t size, uint32_t sector, uint32_t volume_id);

}  // namespace basalt::install
