// Media are read by our own readers, straight from their devices: nothing is mounted. Only to wipe
// the key the boot partition is mounted: others may have it mounted at that moment, and two writers
// that do not know of each other would damage it.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/first/real_first.h"
#include "server/host/fd.h"
#include "server/trust/sealing_key.h"

namespace basalt::first {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostDevices = 256;
constexpr size_t kMostOnMedia = 8;

class DeviceBytes : public medium::Bytes {
 public:
  explicit DeviceBytes(const std::string& path)
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) {
    const off_t end = fd_.valid() ? lseek(fd_.get(), 0, SEEK_END) : 0;
    size_ = end > 0 ? static_cast<uint64_t>(end) : 0;
  }
  uint64_t size() const override { return size_; }
  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) override {
    if (absl::Status s = medium::CheckRange(*this, offset, size); !s.ok()) return s;
    std::string out(size, '\0');
    size_t done = 0;
    while (done < size) {
      const ssize_t n =
          pread(fd_.get(), out.data() + done, size - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return absl::UnavailableError(absl::StrCat("reading: ", std::strerror(errno)));
      done += static_cast<size_t>(n);
    }
    return out;
  }
  absl::Status Write(uint64_t, absl::string_view) override {
    return absl::UnimplementedError("opened to be read");
  }

 private:
  host::UniqueFd fd_;
  uint64_t size_ = 0;
};

absl::Status Errno(const std::string& what) {
  return api::Coded(absl::StatusCode::kUnavailable, "medium-failed",
                    absl::StrCat(what, ": ", std::strerror(errno)));
}

class RealMedia : public Media {
 public:
  RealMedia(std::string boot_partition, std::string mount_at, std::string root)
      : boot_partition_(std::move(boot_partition)),
        mount_at_(std::move(mount_at)),
        root_(std::move(root)) {}

  std::vector<Found> OnBootPartition() override {
    if (boot_partition_.empty()) return {};
    DeviceBytes bytes(boot_partition_);
    return first::OnBootPartition(bytes);
  }

  std::vector<Found> Elsewhere(bool azure) override {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root_ + "/sys/class/block", error)) {
      const std::string name = entry.path().filename();
      // What this machine makes itself: memory, loops, its own mapped devices.
      const bool made = absl::StartsWith(name, "loop") || absl::StartsWith(name, "ram") ||
                        absl::StartsWith(name, "zram") || absl::StartsWith(name, "dm-") ||
                        absl::StartsWith(name, "md");
      if (!made && names.size() < kMostDevices) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    std::vector<Found> out;
    for (const std::string& name : names) {
      const std::string path = absl::StrCat(root_, "/dev/", name);
      if (path == boot_partition_) continue;
      DeviceBytes bytes(path);
      if (bytes.size() == 0) continue;
      for (Found& found : OnMedium(bytes, azure)) {
        if (out.size() == kMostOnMedia) return out;
        absl::StrAppend(&found.where, " (", name, ")");
        out.push_back(std::move(found));
      }
    }
    return out;
  }

  absl::StatusOr<bool> WipeKey() override {
    if (boot_partition_.empty()) return false;
    {
      DeviceBytes bytes(boot_partition_);
      if (FactsOf(bytes).key.empty()) return false;
    }
    std::error_code error;
    fs::create_directories(mount_at_, error);
    // The options that everybody here mounts it with: one superblock is shared.
    if (mount(boot_partition_.c_str(), mount_at_.c_str(), "vfat", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "codepage=437,iocharset=ascii,umask=0077") != 0) {
      return Errno(absl::StrCat("mount ", boot_partition_));
    }
    absl::Status wiped = WipeFile(absl::StrCat(mount_at_, "/", kMediumKeyFile));
    umount2(mount_at_.c_str(), UMOUNT_NOFOLLOW);
    return wiped.ok() ? absl::StatusOr<bool>(true) : wiped;
  }

 private:
  // FAT writes over a file where it lies; a card or stick may keep the old block beside it, which
  // is why the key is for one time.
  static absl::Status WipeFile(const std::string& path) {
    host::UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid()) return errno == ENOENT ? absl::OkStatus() : Errno(path);
    struct stat info {};
    if (fstat(fd.get(), &info) != 0) return Errno(path);
    const std::string zeros(static_cast<size_t>(std::min<off_t>(info.st_size, 1 << 16)), '\0');
    if (pwrite(fd.get(), zeros.data(), zeros.size(), 0) != static_cast<ssize_t>(zeros.size()) ||
        fsync(fd.get()) != 0) {
      return Errno(absl::StrCat("overwrite ", path));
    }
    if (unlink(path.c_str()) != 0 || syncfs(fd.get()) != 0) {
      return Errno(absl::StrCat("remove ", path));
    }
    return absl::OkStatus();
  }

  const std::string boot_partition_, mount_at_, root_;
};

}  // namespace

std::unique_ptr<Media> MakeMedia(std::string boot_partition, std::string mount_at,
                                 std::string root) {
  return std::make_unique<RealMedia>(std::move(boot_partition), std::move(mount_at),
                                     std::move(root));
}

std::string TakeMedium(host::Vfs& vfs, const std::string& boot_partition) {
  if (boot_partition.empty()) return "";
  DeviceBytes bytes(boot_partition);
  MediumFacts facts = FactsOf(bytes);
  if (!facts.key.empty()) {
    absl::Status kept = trust::SealingKey::KeepMediumKey(vfs, facts.key);
    std::fill(facts.key.begin(), facts.key.end(), '\0');
    if (!kept.ok()) {
      std::fprintf(stderr, "noded: the key of the boot medium is of no use: %s\n",
                   std::string(kept.message()).c_str());
    }
  }
  return facts.id;
}

}  // namespace basalt::first
