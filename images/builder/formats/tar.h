// A tar archive (ustar), as layers of container images are: the same bytes for the same files.
// Pure.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace basalt::image {

class TarWriter {
 public:
  explicit TarWriter(absl::Time time) : time_(time) {}  // of every entry

  // Of root, by relative path. InvalidArgument "bad-path": one that the format has no room for.
  absl::Status AddDirectory(absl::string_view path, unsigned mode);
  absl::Status AddFile(absl::string_view path, unsigned mode, absl::string_view bytes);
  absl::Status AddLink(absl::string_view path, absl::string_view target);
  std::string Finish();

 private:
  absl::Status Head(absl::string_view path, unsigned mode, char type, uint64_t size,
                    absl::string_view target);
  absl::Time time_;
  std::string bytes_;
};

}  // namespace basalt::image
