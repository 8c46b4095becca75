// The machine that builds: files, and the few programs that are run (apt-get, dpkg-deb, strip,
// mkfs.erofs, zstd, mkfs.vfat, mtools, qemu-img). Nothing here needs to be root.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace basalt::image {

// Runs a program of $PATH to its end with nothing on its standard input, in `directory` ("": here),
// and returns what it wrote to its standard output. The environment is ours alone: C locale, UTC,
// umask 022, SOURCE_DATE_EPOCH. Reasons: tool-missing, tool-failed (with the end of what it said).
class Tools {
 public:
  explicit Tools(absl::Time time) : time_(time) {}
  absl::StatusOr<std::string> Run(const std::vector<std::string>& argv,
                                  const std::string& directory = "") const;
  absl::Time time() const { return time_; }

 private:
  absl::Time time_;
};

// Reasons: io-failed.
absl::StatusOr<std::string> ReadWhole(const std::string& path);
absl::Status WriteWhole(const std::string& path, absl::string_view bytes, unsigned mode = 0644);
absl::Status MakeDirectories(const std::string& path);  // all of them 0755
absl::Status MakeSymlink(const std::string& target, const std::string& path);
absl::Status RemoveTree(const std::string& path);  // absent is fine
bool Exists(const std::string& path);

// Copies a file to `offset` of an existing one, leaving holes where there are zeros.
absl::Status CopySparse(const std::string& from, const std::string& to, uint64_t offset);
absl::Status WriteAt(const std::string& path, uint64_t offset, absl::string_view bytes);
// Makes it that long, with a hole for all of it.
absl::Status MakeSparse(const std::string& path, uint64_t size);

}  // namespace basalt::image
