#include "tests/support/block/fake_block.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/gpt/gpt.h"

namespace basalt::testing {
namespace {

constexpr uint64_t kPage = 4096;

std::string DeviceOfPartition(const std::string& disk, int number) {
  return absl::StrCat(disk, absl::ascii_isdigit(static_cast<unsigned char>(disk.back())) ? "p" : "",
                      number);
}

class TableIo : public gpt::Io {
 public:
  TableIo(FakeBlock& block, const std::string& disk) : block_(block), disk_(disk) {}
  int Read(uint64_t offset, void* data, size_t size) override {
    auto bytes = block_.Read(disk_, offset, size);
    if (!bytes.ok()) return EIO;
    memcpy(data, bytes->data(), size);
    return 0;
  }
  int Write(uint64_t, const void*, size_t) override { return EROFS; }

 private:
  FakeBlock& block_;
  const std::string& disk_;
};

}  // namespace

FakeBlock::Disk* FakeBlock::Find(const std::string& device, uint64_t* start, uint64_t* size) {
  for (auto& [name, disk] : disks_) {
    if (name == device) {
      *start = 0;
      *size = disk.about.size;
      return &disk;
    }
    for (const host::BlockPartition& partition : disk.about.partitions) {
      if (partition.device != device) continue;
      *start = partition.start;
      *size = partition.size;
      return &disk;
    }
  }
  return nullptr;
}

absl::StatusOr<std::vector<host::BlockDisk>> FakeBlock::Disks() {
  std::vector<host::BlockDisk> out;
  for (const auto& [name, disk] : disks_) out.push_back(disk.about);
  return out;
}

absl::StatusOr<std::string> FakeBlock::DeviceOf(const std::string& path) {
  if (data_device.empty()) return absl::NotFoundError(path);
  return data_device;
}

absl::StatusOr<std::string> FakeBlock::Read(const std::string& device, uint64_t offset,
                                            size_t size) {
  ++reads;
  uint64_t start = 0, whole = 0;
  Disk* disk = Find(device, &start, &whole);
  if (disk == nullptr) return absl::NotFoundError(device);
  if (offset + size > whole) return absl::UnavailableError("beyond its end");
  std::string out(size, '\0');
  for (size_t i = 0; i < size;) {
    const uint64_t at = start + offset + i;
    const size_t in = at % kPage, n = std::min<size_t>(size - i, kPage - in);
    if (auto page = disk->pages.find(at / kPage); page != disk->pages.end()) {
      memcpy(out.data() + i, page->second.data() + in, n);
    }
    i += n;
  }
  return out;
}

absl::Status FakeBlock::Write(const std::string& device, uint64_t offset, absl::string_view data) {
  uint64_t start = 0, whole = 0;
  Disk* disk = Find(device, &start, &whole);
  if (disk == nullptr) return absl::NotFoundError(device);
  if (offset + data.size() > whole) return absl::ResourceExhaustedError("beyond its end");
  if (writes_left == 0) return absl::UnavailableError("the power is gone");
  --writes_left;
  ++writes;
  for (size_t i = 0; i < data.size();) {
    const uint64_t at = start + offset + i;
    const size_t in = at % kPage, n = std::min<size_t>(data.size() - i, kPage - in);
    std::string& page = disk->pages[at / kPage];
    page.resize(kPage, '\0');
    memcpy(page.data() + in, data.data() + i, n);
    i += n;
  }
  return absl::OkStatus();
}

absl::Status FakeBlock::Erase(const std::string& device, host::Erasure how, uint64_t offset,
                              uint64_t size) {
  uint64_t start = 0, whole = 0;
  Disk* disk = Find(device, &start, &whole);
  if (disk == nullptr) return absl::NotFoundError(device);
  if (erasures.count(how) == 0) return absl::UnimplementedError("not this disk");
  if (offset + size > whole) return absl::InvalidArgumentError("beyond its end");
  if (writes_left == 0) return absl::UnavailableError("the power is gone");
  --writes_left;
  ++writes;
  erased.push_back(how);
  // Whole pages; what tests erase is aligned.
  disk->pages.erase(disk->pages.lower_bound((start + offset) / kPage),
                    disk->pages.lower_bound((start + offset + size) / kPage));
  return absl::OkStatus();
}

absl::Status FakeBlock::AddPartition(const std::string& name, int number, uint64_t start,
                                     uint64_t size) {
  auto disk = disks_.find(name);
  if (disk == disks_.end()) return absl::NotFoundError(name);
  if (writes_left == 0) return absl::UnavailableError("the power is gone");
  host::BlockDisk& about = disk->second.about;
  if (size == 0 || start + size > about.size) return absl::InvalidArgumentError("beyond its end");
  for (const host::BlockPartition& p : about.partitions) {
    if (p.number == number || (start < p.start + p.size && p.start < start + size)) {
      return absl::FailedPreconditionError("in use");
    }
  }
  about.partitions.push_back(
      {.number = number, .device = DeviceOfPartition(name, number), .start = start, .size = size});
  std::sort(about.partitions.begin(), about.partitions.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  return absl::OkStatus();
}

absl::Status FakeBlock::ResizePartition(const std::string& name, int number, uint64_t start,
                                        uint64_t size) {
  auto disk = disks_.find(name);
  if (disk == disks_.end()) return absl::NotFoundError(name);
  if (writes_left == 0) return absl::UnavailableError("the power is gone");
  for (host::BlockPartition& p : disk->second.about.partitions) {
    if (p.number != number) continue;
    if (p.start != start || start + size > disk->second.about.size) {
      return absl::InvalidArgumentError("another place");
    }
    p.size = size;
    return absl::OkStatus();
  }
  return absl::NotFoundError("no such partition");
}

absl::Status FakeBlock::RemovePartition(const std::string& name, int number) {
  auto disk = disks_.find(name);
  if (disk == disks_.end()) return absl::NotFoundError(name);
  auto& partitions = disk->second.about.partitions;
  for (auto p = partitions.begin(); p != partitions.end(); ++p) {
    if (p->number != number) continue;
    for (const host::BlockMount& mount : mounts) {
      if (mount.source == p->device) return absl::FailedPreconditionError("in use");
    }
    partitions.erase(p);
    return absl::OkStatus();
  }
  return absl::NotFoundError("no such partition");
}

absl::StatusOr<std::vector<host::BlockMount>> FakeBlock::Mounts() { return mounts; }

absl::Status FakeBlock::Mount(const host::MountRequest& request) {
  auto magic = Read(request.device, 1024 + 56, 2);
  if (!magic.ok()) return absl::NotFoundError(request.device);
  if (writes_left == 0) return absl::UnavailableError("the power is gone");
  if (*magic != "\x53\xef" || request.type != "ext4") {
    return absl::InvalidArgumentError("no such file system on it");
  }
  mounts.push_back({.source = request.device,
                    .target = request.target,
                    .type = request.type,
                    .no_exec = request.no_exec});
  return absl::OkStatus();
}

absl::Status FakeBlock::Unmount(const std::string& target) {
  if (busy.count(target) > 0) return absl::FailedPreconditionError("in use");
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    if (mount->target != target) continue;
    mounts.erase(std::next(mount).base());
    return absl::OkStatus();
  }
  return absl::NotFoundError("no mount point");
}

absl::StatusOr<host::Space> FakeBlock::SpaceOf(const std::string&) {
  return host::Space{1ULL << 40, 1ULL << 39};
}

absl::StatusOr<uint64_t> FakeBlock::Trim(const std::string& target) {
  trimmed.push_back(target);
  return 0;
}

absl::StatusOr<std::vector<host::SwapArea>> FakeBlock::Swaps() {
  std::vector<host::SwapArea> out;
  for (const auto& [path, priority] : swaps) {
    const uint64_t size = path == "/dev/zram0" ? zram.first : swap_files[path];
    out.push_back({.path = path, .size = size - kPage});
  }
  return out;
}

absl::Status FakeBlock::SwapOn(const std::string& path, int priority) {
  const bool is_swap = path == "/dev/zram0" ? zram.first > 0 : swap_files.count(path) > 0;
  if (!is_swap) return absl::NotFoundError(path);
  if (!swaps.emplace(path, priority).second) return absl::FailedPreconditionError("in use");
  return absl::OkStatus();
}

absl::Status FakeBlock::SwapOff(const std::string& path) {
  return swaps.erase(path) > 0 ? absl::OkStatus() : absl::NotFoundError(path);
}

absl::Status FakeBlock::MakeSwapFile(const std::string& path, uint64_t size) {
  swap_files[path] = size;
  return absl::OkStatus();
}

absl::StatusOr<std::string> FakeBlock::SetZram(uint64_t size, const std::string& algorithm) {
  if (!has_zram) return absl::NotFoundError("no zram");
  if (swaps.count("/dev/zram0") > 0) return absl::FailedPreconditionError("in use");
  if (size > 0 && algorithms.count(algorithm) == 0) return absl::InvalidArgumentError(algorithm);
  zram = {size, size > 0 ? algorithm : ""};
  return "/dev/zram0";
}

absl::Status FakeBlock::SetSwappiness(int value) {
  swappiness = value;
  return absl::OkStatus();
}

void FakeBlock::AddDisk(host::BlockDisk disk) {
  const std::string device = disk.device;
  disks_[device].about = std::move(disk);
}

void FakeBlock::RemoveDisk(const std::string& device) { disks_.erase(device); }

std::vector<host::BlockPartition> FakeBlock::TableOf(const std::string& disk) {
  auto table = std::make_unique<gpt::Table>();
  gpt::Copies copies;
  const host::BlockDisk& about = disks_[disk].about;
  TableIo io(*this, disk);
  std::vector<host::BlockPartition> out;
  if (gpt::ReadTable(io, {about.sector, about.size / about.sector}, table.get(), &copies) != 0) {
    return out;
  }
  for (uint32_t i = 0; i < gpt::kPartitions; ++i) {
    const gpt::Partition& p = table->partition[i];
    if (!p.used()) continue;
    char name[gpt::kNameSize];
    gpt::NameOf(p, name);
    out.push_back({.number = static_cast<int>(i + 1),
                   .name = name,
                   .device = DeviceOfPartition(disk, static_cast<int>(i + 1)),
                   .start = p.first * about.sector,
                   .size = (p.last - p.first + 1) * about.sector});
  }
  return out;
}

void FakeBlock::Reboot() {
  writes_left = SIZE_MAX;
  mounts.clear();
  swaps.clear();
  zram = {0, ""};
  busy.clear();
  for (auto& [name, disk] : disks_) disk.about.partitions = TableOf(name);
}

void FakeBlock::MakeExt4(const std::string& device, uint64_t blocks) {
  std::string super(1024, '\0');
  const uint32_t low = static_cast<uint32_t>(blocks);
  memcpy(super.data() + 4, &low, sizeof low);
  super[24] = 2;  // 4 KiB
  super[56] = '\x53';
  super[57] = '\xef';
  const size_t before = std::exchange(writes_left, SIZE_MAX);
  Write(device, 1024, super).IgnoreError();
  writes_left = before;
}

}  // namespace basalt::testing
