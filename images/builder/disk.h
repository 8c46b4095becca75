// The boot partition and the disk around the slots.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "images/builder/host.h"
#include "images/builder/recipe.h"

namespace basalt::image {

struct EspFile {
  std::string path;  // "EFI/Linux/noded_0.1.0.efi"
  std::string content;
};

// A FAT32 file system in the file `path`. Equal content makes equal bytes: serial number, times and
// the order of files are fixed. Reasons: tool-failed, io-failed.
absl::Status MakeEsp(const Tools& tools, const std::string& path, uint64_t mebibytes,
                     const std::string& scratch, const std::vector<EspFile>& files);

struct DiskContent {
  std::string partition;  // name
  std::string file;       // what lies at its start
};

// A sparse disk with the recipe's partitions, 1 MiB free before and after. `id` makes its GUIDs.
// Reasons: bad-partition, too-large (content beyond its partition), io-failed.
absl::Status MakeDisk(const std::string& path, const Recipe& recipe, const std::string& id,
                      const std::vector<DiskContent>& contents);

}  // namespace basalt::image
