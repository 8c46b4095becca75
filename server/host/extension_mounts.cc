#include "server/host/extension_mounts.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "server/host/fd.h"
#include "server/host/verity_mapper.h"

namespace basalt::host {
namespace {

constexpr char kPlace[] = "/run/extensions";
constexpr char kBase[] = "/run/extensions/base";  // the root's own /usr, below what is laid over it
constexpr char kShownAt[] = "/usr";
constexpr uint64_t kBlock = 4096;
constexpr int kLoopTries = 16;  // somebody else may take the free one
constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOATIME;

absl::Status FromErrno(int error, absl::string_view what) {
  const std::string text = absl::StrCat(what, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(text);
    case EBUSY:
      return absl::FailedPreconditionError(text);
    default:
      return absl::UnavailableError(text);
  }
}

std::string MountPoint(const std::string& id) { return absl::StrCat(kPlace, "/", id); }

// A read-only loop device of the file; it goes with its last user.
absl::StatusOr<UniqueFd> OpenLoop(int file, std::string* device) {
  UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control.valid()) return FromErrno(errno, "/dev/loop-control");
  loop_config config = {};
  config.fd = static_cast<uint32_t>(file);
  config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
  for (int i = 0; i < kLoopTries; ++i) {
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return FromErrno(errno, "a free loop device");
    *device = absl::StrCat("/dev/loop", number);
    UniqueFd loop(open(device->c_str(), O_RDONLY | O_CLOEXEC));
    if (!loop.valid()) return FromErrno(errno, *device);
    if (ioctl(loop.get(), LOOP_CONFIGURE, &config) == 0) return loop;
    if (errno != EBUSY) return FromErrno(errno, *device);
  }
  return absl::UnavailableError("no loop device is free");
}

class RealExtensionMounts : public ExtensionMounts {
 public:
  absl::StatusOr<std::vector<AttachedExtension>> List() override {
    absl::StatusOr<std::vector<AttachedExtension>> attached = Mounted();
    if (!attached.ok() || attached->empty()) return attached;
    absl::StatusOr<VerityMapper> mapper = VerityMapper::Open();
    if (!mapper.ok()) return mapper.status();
    for (AttachedExtension& one : *attached) one.corrupt = mapper->IsCorrupt(one.id);
    return attached;
  }

  absl::Status Attach(const ExtensionSource& source) override {
    const std::string id = ExtensionId(source);
    absl::StatusOr<std::vector<AttachedExtension>> attached = Mounted();
    if (!attached.ok()) return attached.status();
    for (const AttachedExtension& one : *attached) {
      if (one.id == id) return absl::OkStatus();
    }
    VerityTable table{.root_hash = source.root.substr(0, 64), .salt = source.salt};
    if (source.root.size() < 66 || !absl::SimpleAtoi(source.root.substr(65), &table.blocks)) {
      return absl::InvalidArgumentError(absl::StrCat("not a root: ", source.root));
    }
    UniqueFd file(open(source.file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file.valid()) return FromErrno(errno, source.file);
    struct stat info {};
    if (fstat(file.get(), &info) != 0) return FromErrno(errno, source.file);
    if (static_cast<uint64_t>(info.st_size) < (table.blocks + 2) * kBlock) {
      return absl::DataLossError(absl::StrCat(source.file, ": is cut off"));
    }
    absl::StatusOr<UniqueFd> loop = OpenLoop(file.get(), &table.device);
    if (!loop.ok()) return loop.status();
    absl::StatusOr<VerityMapper> mapper = VerityMapper::Open();
    if (!mapper.ok()) return mapper.status();
    absl::StatusOr<std::string> device = mapper->Create(id, table);
    if (!device.ok()) return device.status();
    const std::string at = MountPoint(id);
    if ((mkdir(kPlace, 0755) != 0 && errno != EEXIST) ||
        (mkdir(at.c_str(), 0755) != 0 && errno != EEXIST)) {
      return FromErrno(errno, at);
    }
    if (mount(device->c_str(), at.c_str(), "erofs", kFlags, nullptr) == 0) return absl::OkStatus();
    const int error = errno;
    mapper->Remove(id).IgnoreError();  // what matters is why it was not mounted
    rmdir(at.c_str());
    if (error == EINVAL || error == EIO) {
      return absl::DataLossError(absl::StrCat(
          source.file,
          ": the first blocks are not those of its root hash: ", std::strerror(error)));
    }
    return FromErrno(error, at);
  }

  absl::Status Show(const std::vector<std::string>& ids) override {
    absl::StatusOr<std::string> mounts = ReadMounts();
    if (!mounts.ok()) return mounts.status();
    std::vector<std::string> shown = Shown(*mounts);
    if (shown == ids) return absl::OkStatus();
    if (absl::Status base = KeepBase(*mounts); !base.ok()) return base;
    // Lazily: what runs from it has it still. For a moment there is the root's /usr alone, which
    // has all that is the root's.
    if (!shown.empty() && umount2(kShownAt, MNT_DETACH) != 0) {
      return FromErrno(errno, "taking back what lies over /usr");
    }
    if (ids.empty()) return absl::OkStatus();
    std::vector<std::string> layers;
    for (const std::string& id : ids) layers.push_back(absl::StrCat(MountPoint(id), "/usr"));
    layers.push_back(kBase);
    const std::string options = absl::StrCat("lowerdir=", absl::StrJoin(layers, ":"));
    if (mount("extensions", kShownAt, "overlay", kFlags, options.c_str()) == 0) {
      return absl::OkStatus();
    }
    return FromErrno(errno, "laying extensions over /usr");
  }

  absl::Status Detach(const std::string& id) override {
    const std::string at = MountPoint(id);
    if (umount2(at.c_str(), UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT) {
      return FromErrno(errno, at);
    }
    rmdir(at.c_str());
    absl::StatusOr<VerityMapper> mapper = VerityMapper::Open();
    return mapper.ok() ? mapper->Remove(id) : mapper.status();
  }

  std::vector<std::string> OfRoot(const std::vector<std::string>& paths) override {
    absl::StatusOr<std::string> mounts = ReadMounts();
    const bool below = mounts.ok() && !Shown(*mounts).empty();
    std::vector<std::string> there;
    for (const std::string& path : paths) {
      absl::string_view rest = path;
      const std::string file =
          below && absl::ConsumePrefix(&rest, kShownAt) ? absl::StrCat(kBase, rest) : path;
      struct stat info {};
      if (lstat(file.c_str(), &info) == 0) there.push_back(path);
    }
    return there;
  }

 private:
  static absl::StatusOr<std::string> ReadMounts() {
    std::ifstream in("/proc/self/mountinfo");
    std::string text(std::istreambuf_iterator<char>(in), {});
    return text.empty() ? absl::StatusOr<std::string>(
                              absl::UnavailableError("/proc/self/mountinfo cannot be read"))
                        : text;
  }
  static absl::StatusOr<std::vector<AttachedExtension>> Mounted() {
    absl::StatusOr<std::string> mounts = ReadMounts();
    if (!mounts.ok()) return mounts.status();
    return ParseExtensionMounts(*mounts);
  }
  // In the order of the layers.
  static std::vector<std::string> Shown(absl::string_view mountinfo);

  // A mount of its own of the root's /usr, which what is laid over it does not reach: not shared,
  // or the kernel would lay the overlay over this one too.
  static absl::Status KeepBase(absl::string_view mountinfo) {
    if (absl::StrContains(mountinfo, absl::StrCat(" ", kBase, " "))) return absl::OkStatus();
    if ((mkdir(kPlace, 0755) != 0 && errno != EEXIST) ||
        (mkdir(kBase, 0755) != 0 && errno != EEXIST)) {
      return FromErrno(errno, kBase);
    }
    if (mount(kShownAt, kBase, nullptr, MS_BIND, nullptr) != 0 ||
        mount(nullptr, kBase, nullptr, MS_PRIVATE, nullptr) != 0) {
      return FromErrno(errno, kBase);
    }
    return absl::OkStatus();
  }
};

struct MountLine {
  absl::string_view target, type, options;
};

std::vector<MountLine> Lines(absl::string_view mountinfo) {
  std::vector<MountLine> lines;
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (halves.size() != 2) continue;
    const std::vector<absl::string_view> left = absl::StrSplit(halves[0], ' ');
    const std::vector<absl::string_view> right = absl::StrSplit(halves[1], ' ');
    if (left.size() < 5 || right.size() < 3) continue;
    lines.push_back({left[4], right[0], right[2]});
  }
  return lines;
}

// "/run/extensions/ID" and "/run/extensions/ID/usr"; "" for anything else.
std::string IdIn(absl::string_view path) {
  if (!absl::ConsumePrefix(&path, kPlace) || !absl::ConsumePrefix(&path, "/")) return "";
  absl::ConsumeSuffix(&path, "/usr");
  return absl::StrContains(path, '/') || path == "base" ? "" : std::string(path);
}

std::vector<std::string> Layers(absl::string_view mountinfo) {
  std::vector<std::string> ids;
  for (const MountLine& line : Lines(mountinfo)) {
    if (line.target != kShownAt || line.type != "overlay") continue;
    ids.clear();  // the last one is on top
    for (absl::string_view option : absl::StrSplit(line.options, ',')) {
      if (!absl::ConsumePrefix(&option, "lowerdir=")) continue;
      for (absl::string_view layer : absl::StrSplit(option, ':')) {
        if (std::string id = IdIn(layer); !id.empty()) ids.push_back(std::move(id));
      }
    }
  }
  return ids;
}

std::vector<std::string> RealExtensionMounts::Shown(absl::string_view mountinfo) {
  return Layers(mountinfo);
}

}  // namespace

std::string ExtensionId(const ExtensionSource& source) {
  return absl::StrCat(source.name, ".", source.root.substr(0, 32));
}

std::vector<AttachedExtension> ParseExtensionMounts(absl::string_view mountinfo) {
  std::map<std::string, AttachedExtension> attached;
  for (const MountLine& line : Lines(mountinfo)) {
    if (line.type != "erofs") continue;
    const std::string id = IdIn(line.target);
    if (!id.empty()) attached[id].id = id;
  }
  for (const std::string& id : Layers(mountinfo)) {
    if (auto it = attached.find(id); it != attached.end()) it->second.shown = true;
  }
  std::vector<AttachedExtension> out;
  for (auto& [id, one] : attached) out.push_back(std::move(one));
  return out;
}

std::unique_ptr<ExtensionMounts> MakeExtensionMounts() {
  return std::make_unique<RealExtensionMounts>();
}

}  // namespace basalt::host
