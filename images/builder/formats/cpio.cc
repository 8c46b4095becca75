#include "images/builder/formats/cpio.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "images/builder/formats/little_endian.h"

namespace basalt::image {

void CpioWriter::AddDirectory(absl::string_view path) { Add(path, 040755, 2, ""); }

void CpioWriter::AddFile(absl::string_view path, uint32_t mode, absl::string_view content) {
  Add(path, 0100000 | mode, 1, content);
}

std::string CpioWriter::Finish() {
  next_inode_ = 0;
  Add("TRAILER!!!", 0, 1, "");
  Pad(bytes_, 512);
  return std::move(bytes_);
}

void CpioWriter::Add(absl::string_view path, uint32_t mode, uint32_t links,
                     absl::string_view content) {
  // inode, mode, uid, gid, links, mtime, size, device (2), device of a node (2), name, checksum
  absl::StrAppendFormat(&bytes_, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
                        next_inode_++, mode, 0, 0, links, 0, content.size(), 0, 0, 0, 0,
                        path.size() + 1, 0);
  absl::StrAppend(&bytes_, path);
  bytes_.push_back('\0');
  Pad(bytes_, 4);
  absl::StrAppend(&bytes_, content);
  Pad(bytes_, 4);
}

}  // namespace basalt::image
