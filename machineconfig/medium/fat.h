// A FAT file system (Microsoft's "FAT: General Overview of On-Disk Format", 1.03): files are read
// from any of its three kinds, and added to FAT32. Ours, because a node reads media that anybody
// may have plugged in without handing them to a kernel's driver, and nodectl writes a boot
// partition on machines that have neither mtools nor the right to mount. Everything is bounded by
// what the medium itself can hold and by the limits here.
//
// Names are compared without regard to case; long ones are read as ASCII, "?" for what is not. Not
// thread-safe. Reasons: not-fat (InvalidArgument: another file system, or none), fat-damaged
// (DataLoss), file-too-large (ResourceExhausted), medium-full (ResourceExhausted); NotFound.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/medium/bytes.h"

namespace basalt::medium {

class Fat {
 public:
  struct Entry {
    std::string name;
    bool directory = false;
    uint32_t first_cluster = 0;
    uint32_t size = 0;
    size_t at = 0;     // of the short entry in the directory
    size_t slots = 1;  // with those of the long name before it
  };

  static absl::StatusOr<Fat> Open(Bytes& bytes);  // which outlive it

  const std::string& label() const { return label_; }
  // "" is the root. Files and directories, in the order of the directory; no label, "." or "..".
  absl::StatusOr<std::vector<Entry>> List(absl::string_view directory);
  absl::StatusOr<std::string> ReadFile(absl::string_view path, size_t most);
  // Makes the directories that are missing; replaces a file of that name. Only FAT32
  // (Unimplemented/"not-fat32"). An error may leave some of it written.
  absl::Status WriteFile(absl::string_view path, absl::string_view content);

 private:
  enum class Kind { k12, k16, k32 };
  struct Directory {
    std::string data;
    std::vector<uint32_t> clusters;  // none: the fixed root of FAT12 and FAT16
  };

  explicit Fat(Bytes& bytes) : bytes_(&bytes) {}
  absl::Status ReadHead();
  uint32_t Next(uint32_t cluster) const;  // of the chain; 0 at its end or where it is damaged
  uint64_t PlaceOf(uint32_t cluster) const;
  absl::StatusOr<std::vector<uint32_t>> Chain(uint32_t first, size_t most_bytes) const;
  absl::StatusOr<Directory> ReadDirectory(uint32_t first);
  absl::StatusOr<Entry> Find(absl::string_view path);
  static std::vector<Entry> Entries(const std::string& data);
  static std::string LabelIn(const std::string& data);

  absl::StatusOr<uint32_t> EnterOrMake(uint32_t parent, absl::string_view name);
  absl::StatusOr<std::vector<uint32_t>> Allocate(size_t count);
  void SetNext(uint32_t cluster, uint32_t next);
  absl::Status PutEntry(uint32_t directory, absl::string_view name, uint8_t attributes,
                        uint32_t first, uint32_t size);
  absl::Status WriteDirectory(const Directory& directory);
  absl::Status WriteTable();

  Bytes* bytes_;
  Kind kind_ = Kind::k32;
  std::string label_;
  uint32_t sector_ = 0, cluster_ = 0;  // bytes
  uint32_t copies_ = 0;
  uint64_t table_at_ = 0, table_size_ = 0;  // of one copy
  uint64_t root_at_ = 0, root_size_ = 0;    // FAT12 and FAT16
  uint64_t data_at_ = 0;
  uint32_t clusters_ = 0;  // of data; they are numbered from 2
  uint32_t root_cluster_ = 0;
  uint64_t info_at_ = 0;  // 0: none
  std::string table_;
};

}  // namespace basalt::medium
