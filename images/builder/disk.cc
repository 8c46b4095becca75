#include "images/builder/disk.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "images/builder/formats/gpt.h"

namespace basalt::image {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;

}  // namespace

absl::Status MakeEsp(const Tools& tools, const std::string& path, uint64_t mebibytes,
                     const std::string& scratch, const std::vector<EspFile>& files) {
  if (absl::Status s = MakeSparse(path, mebibytes * kMebibyte); !s.ok()) return s;
  auto made =
      tools.Run({"mkfs.vfat", "-F", "32", "-i", "62617361", "-n", "ESP", "--invariant", path});
  if (!made.ok()) return made.status();
  std::set<std::string> directories;
  for (const EspFile& f : files) {
    for (size_t slash = f.path.find('/'); slash != std::string::npos;
         slash = f.path.find('/', slash + 1)) {
      directories.insert(f.path.substr(0, slash));
    }
  }
  // mtools takes the times of directories and files from SOURCE_DATE_EPOCH, in the zone of TZ.
  std::vector<std::string> argv = {"mmd", "-i", path};
  for (const std::string& d : directories) argv.push_back("::" + d);
  if (auto s = tools.Run(argv); !s.ok()) return s.status();
  std::string file = scratch + "/esp-file";
  for (const EspFile& f : files) {
    if (absl::Status s = WriteWhole(file, f.content); !s.ok()) return s;
    if (auto s = tools.Run({"mcopy", "-i", path, file, "::" + f.path}); !s.ok()) return s.status();
  }
  return absl::OkStatus();
}

absl::Status MakeDisk(const std::string& path, const Recipe& recipe, const std::string& id,
                      const std::vector<DiskContent>& contents) {
  std::vector<Partition> partitions;
  uint64_t next = kMebibyte;
  for (const PartitionSize& p : recipe.partitions) {
    partitions.push_back(
        {.name = p.name,
         .type = p.name == "ESP" ? PartitionType::kEfiSystem : PartitionType::kLinuxData,
         .id = GuidOf(absl::StrCat(id, " ", p.name)),
         .first_sector = next / kSectorSize,
         .sectors = p.mebibytes * kMebibyte / kSectorSize});
    next += p.mebibytes * kMebibyte;
  }
  uint64_t size = next + kMebibyte;
  absl::StatusOr<PartitionTable> table = MakeGpt(size / kSectorSize, GuidOf(id), partitions);
  if (!table.ok()) return table.status();
  for (const Partition& p : partitions) {
    if (p.name == recipe.mbr_partition) AddToMbr(*table, p);
  }
  if (absl::Status s = MakeSparse(path, size); !s.ok()) return s;
  if (absl::Status s = WriteAt(path, 0, table->start); !s.ok()) return s;
  if (absl::Status s = WriteAt(path, size - table->end.size(), table->end); !s.ok()) return s;
  for (const DiskContent& c : contents) {
    auto p = std::find_if(partitions.begin(), partitions.end(),
                          [&](const Partition& x) { return x.name == c.partition; });
    struct stat info;
    if (p == partitions.end() || stat(c.file.c_str(), &info) != 0 ||
        static_cast<uint64_t>(info.st_size) > p->sectors * kSectorSize) {
      return absl::InvalidArgumentError(
          absl::StrCat("too-large: ", c.file, " for the partition ", c.partition));
    }
    if (absl::Status s = CopySparse(c.file, path, p->first_sector * kSectorSize); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace basalt::image
