#include "tests/system/image/write_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"

namespace basalt::testing {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint64_t kMagic = 0x6a736677736872;
constexpr uint64_t kFlush = 1, kDiscard = 4, kMark = 8;

struct Header {
  uint64_t magic, version, entries;
  uint32_t sector_size;
};
struct EntryHeader {
  uint64_t sector, sectors, flags, data_size;
};

absl::StatusOr<std::string> ReadExactly(int fd, uint64_t offset, uint64_t size) {
  std::string bytes(size, '\0');
  if (pread(fd, bytes.data(), size, static_cast<off_t>(offset)) != static_cast<ssize_t>(size)) {
    return absl::DataLossError(absl::StrCat("the file ends before ", offset + size));
  }
  return bytes;
}

absl::Status WriteExactly(int fd, uint64_t offset, const char* data, uint64_t size) {
  if (pwrite(fd, data, size, static_cast<off_t>(offset)) != static_cast<ssize_t>(size)) {
    return absl::ErrnoToStatus(errno, "pwrite");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<FlushEpoch>> ReadWriteLog(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, path);
  const uint64_t end = static_cast<uint64_t>(info.st_size);
  std::vector<FlushEpoch> epochs;
  FlushEpoch open_epoch;
  absl::StatusOr<std::string> block = ReadExactly(fd, 0, kSector);
  Header header{};
  if (block.ok()) std::memcpy(&header, block->data(), sizeof header);
  if (header.magic != kMagic || header.version != 1 || header.sector_size != kSector) {
    close(fd);
    return absl::InvalidArgumentError(path + " is no log of writes");
  }
  for (uint64_t at = kSector; at + kSector <= end;) {
    block = ReadExactly(fd, at, kSector);
    if (!block.ok()) break;
    EntryHeader entry;
    std::memcpy(&entry, block->data(), sizeof entry);
    at += kSector;
    const bool has_data = (entry.flags & (kDiscard | kMark)) == 0 && entry.sectors > 0;
    const uint64_t size = entry.sectors * kSector;
    if (has_data) {
      if (size > end - at) break;  // the machine ended while it was logged
      open_epoch.writes.push_back({entry.sector * kSector, size, at});
      at += size;
    }
    if ((entry.flags & kFlush) != 0) {
      open_epoch.log_end = at;
      epochs.push_back(std::move(open_epoch));
      open_epoch = {};
    }
  }
  close(fd);
  return epochs;
}

ReplayedDisk::ReplayedDisk(const std::string& disk, const std::string& log)
    : disk_(open(disk.c_str(), O_RDWR | O_CLOEXEC)),
      log_(open(log.c_str(), O_RDONLY | O_CLOEXEC)) {}

ReplayedDisk::~ReplayedDisk() {
  close(disk_);
  close(log_);
}

absl::StatusOr<std::string> ReplayedDisk::Data(const LoggedWrite& write) const {
  return ReadExactly(log_, write.data_at, write.size);
}

absl::Status ReplayedDisk::Play(const FlushEpoch& epoch) {
  for (const LoggedWrite& write : epoch.writes) {
    absl::StatusOr<std::string> data = Data(write);
    if (!data.ok()) return data.status();
    if (absl::Status s = WriteExactly(disk_, write.offset, data->data(), write.size); !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

absl::Status ReplayedDisk::Cut(const FlushEpoch& epoch, std::mt19937& random,
                               const std::function<void()>& look) {
  // Taken back in reverse: a block may be written twice.
  std::vector<std::pair<uint64_t, std::string>> before;
  absl::Status status;
  for (const LoggedWrite& write : epoch.writes) {
    uint64_t sectors = write.size / kSector;
    switch (random() % 4) {
      case 0:
        continue;  // not at all
      case 1:
        sectors = random() % (sectors + 1);  // in part
        break;
      default:
        break;
    }
    if (sectors == 0) continue;
    absl::StatusOr<std::string> data = Data(write);
    absl::StatusOr<std::string> old = ReadExactly(disk_, write.offset, sectors * kSector);
    status = data.ok() ? old.status() : data.status();
    if (!status.ok()) break;
    before.emplace_back(write.offset, *std::move(old));
    status = WriteExactly(disk_, write.offset, data->data(), sectors * kSector);
    if (!status.ok()) break;
  }
  if (status.ok()) look();
  for (auto it = before.rbegin(); it != before.rend(); ++it) {
    absl::Status back = WriteExactly(disk_, it->first, it->second.data(), it->second.size());
    if (status.ok()) status = back;
  }
  return status;
}

}  // namespace basalt::testing
