// Linux: sysfs, mountinfo, and one system call each. No decisions.
#include <dirent.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/host/block.h"
#include "server/host/block_text.h"
#include "server/host/fd.h"

namespace basalt::host {
namespace {

namespace fs = std::filesystem;

constexpr char kBlock[] = "/sys/class/block";
constexpr char kZram[] = "zram0";
constexpr uint64_t kUnit = 512;  // of sizes in sysfs, whatever the disk's sectors are

absl::Status FromErrno(int error, absl::string_view what, absl::string_view path) {
  const std::string text = absl::StrCat(what, " ", path, ": ", strerror(error));
  switch (error) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
      return absl::NotFoundError(text);
    case EBUSY:
      return absl::FailedPreconditionError(text);
    case EINVAL:
      return absl::InvalidArgumentError(text);
    case ENOSPC:
    case ENOMEM:
      return absl::ResourceExhaustedError(text);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

// A small file of the kernel, "" when it is not there.
std::string Text(const std::string& path, size_t most = 4096) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(most, '\0');
  size_t size = 0;
  while (fd.valid() && size < most) {
    const ssize_t n = read(fd.get(), text.data() + size, most - size);
    if (n <= 0) break;
    size += static_cast<size_t>(n);
  }
  text.resize(size);
  return text;
}

uint64_t Number(const std::string& path) {
  uint64_t number = 0;
  return absl::SimpleAtoi(absl::StripAsciiWhitespace(Text(path)), &number) ? number : 0;
}

absl::Status SetText(const std::string& path, const std::string& text) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() || write(fd.get(), text.data(), text.size()) < 0) {
    return FromErrno(errno, "write", path);
  }
  return absl::OkStatus();
}

// "PARTNAME" of a uevent.
std::string Field(absl::string_view uevent, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(uevent, '\n')) {
    if (absl::ConsumePrefix(&line, absl::StrCat(key, "="))) return std::string(line);
  }
  return "";
}

DiskFacts FactsOf(const std::string& name) {
  const std::string block = absl::StrCat(kBlock, "/", name);
  DiskFacts facts;
  facts.name = name;
  facts.vendor = Text(block + "/device/vendor");
  facts.model = Text(block + "/device/model");
  facts.serial = Text(block + "/device/serial");
  if (facts.serial.empty()) facts.serial = Text(block + "/serial");
  if (facts.serial.empty()) facts.serial = SerialOfPage80(Text(block + "/device/vpd_pg80"));
  const std::string identify = ModelOfPage89(Text(block + "/device/vpd_pg89"));
  if (!identify.empty()) facts.model = identify;  // INQUIRY cuts it after 16 characters
  facts.wwid = Text(block + "/wwid");
  if (facts.wwid.empty()) facts.wwid = Text(block + "/device/wwid");
  facts.mmc_type = Text(block + "/device/type");
  if (absl::StartsWith(name, "mmcblk")) facts.model = Text(block + "/device/name");
  std::error_code error;
  facts.usb = absl::StrContains(fs::canonical(block, error).string(), "/usb");
  facts.rotational = Number(block + "/queue/rotational") != 0;
  for (std::string* text :
       {&facts.vendor, &facts.model, &facts.serial, &facts.wwid, &facts.mmc_type}) {
    absl::StripAsciiWhitespace(text);
  }
  return facts;
}

absl::Status Blkpg(const std::string& disk, int operation, int number, uint64_t start,
                   uint64_t size) {
  UniqueFd fd(open(disk.c_str(), O_RDONLY | O_CLOEXEC));
  blkpg_partition partition = {};
  partition.start = static_cast<long long>(start);
  partition.length = static_cast<long long>(size);
  partition.pno = number;
  blkpg_ioctl_arg order = {operation, 0, sizeof partition, &partition};
  if (!fd.valid() || ioctl(fd.get(), BLKPG, &order) != 0) {
    return FromErrno(errno, "partition", absl::StrCat(number, " of ", disk));
  }
  return absl::OkStatus();
}

uint64_t SectorOf(int fd) {
  int sector = 0;
  return ioctl(fd, BLKSSZGET, &sector) == 0 && sector > 0 ? static_cast<uint64_t>(sector) : 512;
}

// As O_DIRECT wants it.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t size)
      : data_(static_cast<char*>(aligned_alloc(kAlignment, (size / kAlignment + 1) * kAlignment))) {
  }
  ~AlignedBytes() { free(data_); }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  bool valid() const { return data_ != nullptr; }
  char* data() { return data_; }

 private:
  static constexpr size_t kAlignment = 4096;
  char* data_;
};

class RealBlockDevices : public BlockDevices {
 public:
  absl::StatusOr<std::vector<BlockDisk>> Disks() override {
    std::vector<BlockDisk> disks;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(kBlock, error)) {
      const std::string name = entry.path().filename();
      if (!HoldsData(name) || fs::exists(entry.path() / "partition", error)) continue;
      BlockDisk disk = Describe(name);
      if (disk.size > 0) disks.push_back(std::move(disk));
    }
    if (error) return absl::UnavailableError(absl::StrCat("list ", kBlock, ": ", error.message()));
    std::sort(disks.begin(), disks.end(),
              [](const BlockDisk& a, const BlockDisk& b) { return a.device < b.device; });
    return disks;
  }

  absl::StatusOr<std::string> DeviceOf(const std::string& path) override {
    struct stat info = {};
    if (stat(path.c_str(), &info) != 0) return FromErrno(errno, "stat", path);
    const std::string name = Field(Text(absl::StrCat("/sys/dev/block/", major(info.st_dev), ":",
                                                     minor(info.st_dev), "/uevent")),
                                   "DEVNAME");
    if (name.empty()) return absl::NotFoundError(absl::StrCat(path, " is on no device"));
    return absl::StrCat("/dev/", name);
  }

  // Past the page cache, both ways: a disk and each of its partitions have one of their own, and
  // what was written through the one is not seen in the other.
  absl::StatusOr<std::string> Read(const std::string& device, uint64_t offset,
                                   size_t size) override {
    UniqueFd fd(open(device.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT));
    if (!fd.valid()) return FromErrno(errno, "open", device);
    const uint64_t sector = SectorOf(fd.get());
    const uint64_t begin = offset / sector * sector;
    const size_t whole =
        static_cast<size_t>((offset + size + sector - 1) / sector * sector - begin);
    AlignedBytes bytes(whole);
    if (!bytes.valid()) return absl::ResourceExhaustedError("no memory");
    for (size_t done = 0; done < whole;) {
      const ssize_t n =
          pread(fd.get(), bytes.data() + done, whole - done, static_cast<off_t>(begin + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return FromErrno(n < 0 ? errno : EIO, "read", device);
      done += static_cast<size_t>(n);
    }
    return std::string(bytes.data() + (offset - begin), size);
  }

  absl::Status Write(const std::string& device, uint64_t offset, absl::string_view data) override {
    UniqueFd fd(open(device.c_str(), O_RDWR | O_CLOEXEC | O_DIRECT));
    if (!fd.valid()) return FromErrno(errno, "open", device);
    const uint64_t sector = SectorOf(fd.get());
    if (offset % sector != 0 || data.size() % sector != 0) {
      // A part of a sector: nothing of ours does that where a power cut would matter.
      const uint64_t begin = offset / sector * sector;
      const size_t whole =
          static_cast<size_t>((offset + data.size() + sector - 1) / sector * sector - begin);
      absl::StatusOr<std::string> old = Read(device, begin, whole);
      if (!old.ok()) return old.status();
      old->replace(offset - begin, data.size(), data.data(), data.size());
      return Write(device, begin, *old);
    }
    AlignedBytes bytes(data.size());
    if (!bytes.valid()) return absl::ResourceExhaustedError("no memory");
    memcpy(bytes.data(), data.data(), data.size());
    for (size_t done = 0; done < data.size();) {
      const ssize_t n = pwrite(fd.get(), bytes.data() + done, data.size() - done,
                               static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return FromErrno(n < 0 ? errno : EIO, "write", device);
      done += static_cast<size_t>(n);
    }
    return fsync(fd.get()) == 0 ? absl::OkStatus() : FromErrno(errno, "sync", device);
  }

  absl::Status Erase(const std::string& device, Erasure how, uint64_t offset,
                     uint64_t size) override {
    UniqueFd fd(open(device.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid()) return FromErrno(errno, "open", device);
    uint64_t range[2] = {offset, size};
    const unsigned long order = how == Erasure::kZero      ? BLKZEROOUT
                                : how == Erasure::kDiscard ? BLKDISCARD
                                                           : BLKSECDISCARD;
    if (ioctl(fd.get(), order, range) != 0) {
      if (errno != EOPNOTSUPP && errno != ENOTTY) return FromErrno(errno, "erase", device);
      return absl::UnimplementedError(absl::StrCat("erase ", device, ": ", strerror(errno)));
    }
    return fsync(fd.get()) == 0 ? absl::OkStatus() : FromErrno(errno, "sync", device);
  }

  absl::Status AddPartition(const std::string& disk, int number, uint64_t start,
                            uint64_t size) override {
    return Blkpg(disk, BLKPG_ADD_PARTITION, number, start, size);
  }
  absl::Status ResizePartition(const std::string& disk, int number, uint64_t start,
                               uint64_t size) override {
    return Blkpg(disk, BLKPG_RESIZE_PARTITION, number, start, size);
  }
  absl::Status RemovePartition(const std::string& disk, int number) override {
    return Blkpg(disk, BLKPG_DEL_PARTITION, number, 0, 0);
  }

  absl::StatusOr<std::vector<BlockMount>> Mounts() override {
    return ParseMounts(Text("/proc/self/mounts", 1 << 20));
  }

  absl::Status Mount(const MountRequest& request) override {
    std::error_code error;
    fs::create_directories(request.target, error);
    if (error) return FromErrno(error.value(), "make", request.target);
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOATIME;
    if (request.no_exec) flags |= MS_NOEXEC;
    const char* options = request.type == "ext4"   ? "errors=remount-ro"
                          : request.type == "vfat" ? "codepage=437,iocharset=ascii,umask=0077"
                                                   : nullptr;
    if (mount(request.device.c_str(), request.target.c_str(), request.type.c_str(), flags,
              options) != 0) {
      return FromErrno(errno, absl::StrCat("mount ", request.device, " on"), request.target);
    }
    return absl::OkStatus();
  }

  absl::Status Unmount(const std::string& target) override {
    if (umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0) return absl::OkStatus();
    return errno == EINVAL ? absl::NotFoundError(absl::StrCat(target, " is no mount point"))
                           : FromErrno(errno, "unmount", target);
  }

  absl::StatusOr<Space> SpaceOf(const std::string& path) override {
    struct statvfs info = {};
    if (statvfs(path.c_str(), &info) != 0) return FromErrno(errno, "statvfs", path);
    return Space{info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize};
  }

  absl::StatusOr<uint64_t> Trim(const std::string& target) override {
    UniqueFd fd(open(target.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
    fstrim_range range = {.start = 0, .len = UINT64_MAX, .minlen = 0};
    if (fd.valid() && ioctl(fd.get(), FITRIM, &range) == 0) return range.len;
    if (fd.valid() && (errno == EOPNOTSUPP || errno == ENOTTY)) return 0;
    return FromErrno(errno, "trim", target);
  }

  absl::StatusOr<std::vector<SwapArea>> Swaps() override {
    return ParseSwaps(Text("/proc/swaps", 1 << 16));
  }

  absl::Status SwapOn(const std::string& path, int priority) override {
    const int flags =
        priority >= 0 ? SWAP_FLAG_PREFER | (priority & SWAP_FLAG_PRIO_MASK) : SWAP_FLAG_DISCARD;
    if (swapon(path.c_str(), flags) == 0) return absl::OkStatus();
    return FromErrno(errno, "swapon", path);
  }

  absl::Status SwapOff(const std::string& path) override {
    if (swapoff(path.c_str()) == 0) return absl::OkStatus();
    if (errno == EINVAL) return absl::NotFoundError(absl::StrCat(path, " is no swap"));
    if (errno == ENOMEM) {
      return absl::FailedPreconditionError(
          absl::StrCat("swapoff ", path, ": what it holds has no room in memory"));
    }
    return FromErrno(errno, "swapoff", path);
  }

  absl::Status MakeSwapFile(const std::string& path, uint64_t size) override {
    std::error_code ignored;
    fs::create_directories(fs::path(path).parent_path(), ignored);
    unlink(path.c_str());  // ignoring: it may be missing; else open fails
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    const std::string header = SwapHeader(size);
    const bool made =
        fd.valid() && fallocate(fd.get(), 0, 0, static_cast<off_t>(size)) == 0 &&
        pwrite(fd.get(), header.data(), header.size(), 0) == static_cast<ssize_t>(header.size()) &&
        fsync(fd.get()) == 0;
    if (made) return absl::OkStatus();
    const int error = errno;
    unlink(path.c_str());
    return FromErrno(error, "make", path);
  }

  absl::StatusOr<std::string> SetZram(uint64_t size, const std::string& algorithm) override {
    const std::string block = absl::StrCat(kBlock, "/", kZram);
    const std::string device = absl::StrCat("/dev/", kZram);
    absl::Status status = SetText(block + "/reset", "1");
    if (!status.ok() || size == 0)
      return status.ok() ? absl::StatusOr<std::string>(device) : status;
    status = SetText(block + "/comp_algorithm", algorithm);
    if (status.ok()) status = SetText(block + "/disksize", absl::StrCat(size));
    if (status.ok()) status = Write(device, 0, SwapHeader(size));
    if (!status.ok()) return status;
    return device;
  }

  absl::Status SetSwappiness(int value) override {
    return SetText("/proc/sys/vm/swappiness", absl::StrCat(value, "\n"));
  }

 private:
  // A disk that is plugged in while this runs is looked at again at the next time.
  static BlockDisk Describe(const std::string& name) {
    const std::string block = absl::StrCat(kBlock, "/", name);
    const DiskFacts facts = FactsOf(name);
    BlockDisk disk;
    disk.device = absl::StrCat("/dev/", name);
    disk.size = Number(block + "/size") * kUnit;
    disk.sector = static_cast<uint32_t>(Number(block + "/queue/logical_block_size"));
    disk.model = facts.model;
    disk.serial = facts.serial;
    disk.wwn = WwnOf(facts);
    disk.ids = IdsOf(facts);
    disk.type = TypeOf(facts);
    disk.read_only = Number(block + "/ro") != 0;
    disk.discards = Number(block + "/queue/discard_max_bytes") != 0;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(block, error)) {
      const std::string at = entry.path();
      if (!fs::exists(at + "/partition", error)) continue;
      disk.partitions.push_back({.number = static_cast<int>(Number(at + "/partition")),
                                 .name = Field(Text(at + "/uevent"), "PARTNAME"),
                                 .device = absl::StrCat("/dev/", entry.path().filename().string()),
                                 .start = Number(at + "/start") * kUnit,
                                 .size = Number(at + "/size") * kUnit});
    }
    std::sort(disk.partitions.begin(), disk.partitions.end(),
              [](const BlockPartition& a, const BlockPartition& b) { return a.number < b.number; });
    return disk;
  }
};

}  // namespace

std::unique_ptr<BlockDevices> MakeBlockDevices() { return std::make_unique<RealBlockDevices>(); }

}  // namespace basalt::host
