// The initramfs archive (cpio "newc"), always the same bytes for the same content: numbered in
// order, owned by root, at time 0. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace basalt::image {

class CpioWriter {
 public:
  // Paths without a leading '/', parents first.
  void AddDirectory(absl::string_view path);
  void AddFile(absl::string_view path, uint32_t mode, absl::string_view content);
  std::string Finish();  // once

 private:
  void Add(absl::string_view path, uint32_t mode, uint32_t links, absl::string_view content);
  std::string bytes_;
  uint32_t next_inode_ = 1;
};

}  // namespace basalt::image
