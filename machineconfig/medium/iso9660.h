// Files of a CD's file system (ECMA-119), with long names by Joliet or Rock Ridge: config drives of
// NoCloud and OpenStack. Read only, bounded, for the same reason as FAT. Not thread-safe. Reasons:
// not-iso9660 (InvalidArgument), iso9660-damaged (DataLoss), file-too-large (ResourceExhausted);
// NotFound.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/medium/bytes.h"

namespace basalt::medium {

class Iso9660 {
 public:
  struct Entry {
    std::string name;
    bool directory = false;
    bool in_pieces = false;  // several extents: such a file is larger than any config
    uint32_t extent = 0;
    uint32_t size = 0;
  };

  static absl::StatusOr<Iso9660> Open(Bytes& bytes);  // which outlive it

  const std::string& label() const { return label_; }
  absl::StatusOr<std::vector<Entry>> List(absl::string_view directory);  // "" is the root
  absl::StatusOr<std::string> ReadFile(absl::string_view path, size_t most);

 private:
  explicit Iso9660(Bytes& bytes) : bytes_(&bytes) {}
  absl::StatusOr<std::vector<Entry>> Entries(const Entry& directory);
  absl::StatusOr<Entry> Find(absl::string_view path);

  Bytes* bytes_;
  std::string label_;
  Entry root_;
  bool joliet_ = false;
};

}  // namespace basalt::medium
