#include "server/host/devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/host/fd.h"
#include "server/host/netlink_socket.h"

namespace basalt::host {
namespace {

constexpr size_t kMaxFile = 4096;
constexpr size_t kMaxParents = 32;
constexpr size_t kMaxNodes = 8192;
constexpr uint32_t kKernelEvents = 1;  // group of the kernel itself; udevd's own is another

std::optional<std::string> ReadSmall(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  char text[kMaxFile];
  const ssize_t n = fd.valid() ? read(fd.get(), text, sizeof text) : -1;
  if (n < 0) return std::nullopt;
  return std::string(text, static_cast<size_t>(n));
}

std::string LinkTarget(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t n = readlink(path.c_str(), target, sizeof target);
  return n < 0 ? "" : std::string(target, static_cast<size_t>(n));
}

std::string BaseName(absl::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

class RealDevices : public Devices {
 public:
  RealDevices(std::string root, std::unique_ptr<NetlinkSocket> events)
      : root_(std::move(root)), events_(std::move(events)) {
    char real[PATH_MAX];
    sys_ = absl::StrCat(root_, "/sys");
    if (realpath(sys_.c_str(), real) != nullptr) sys_ = real;
  }

  std::vector<DeviceNode> List() const override {
    std::vector<DeviceNode> out;
    for (const char* kind : {"block", "char"}) {
      const std::string dir = absl::StrCat(sys_, "/dev/", kind);
      DIR* list = opendir(dir.c_str());
      if (list == nullptr) continue;
      while (const dirent* entry = readdir(list)) {
        if (entry->d_name[0] == '.' || out.size() >= kMaxNodes) continue;
        DeviceNode node;
        if (Read(absl::StrCat(dir, "/", entry->d_name), entry->d_name, &node)) {
          out.push_back(std::move(node));
        }
      }
      closedir(list);
    }
    std::sort(out.begin(), out.end(),
              [](const DeviceNode& a, const DeviceNode& b) { return a.node < b.node; });
    return out;
  }

  std::optional<std::string> Attribute(const std::string& path,
                                       const std::string& name) const override {
    const std::string file = absl::StrCat(sys_, path, "/", name);
    struct stat info {};
    if (lstat(file.c_str(), &info) != 0) return std::nullopt;
    // As udev does: of a link its name, such as that of a driver.
    if (S_ISLNK(info.st_mode)) return BaseName(LinkTarget(file));
    if (!S_ISREG(info.st_mode)) return std::nullopt;
    std::optional<std::string> text = ReadSmall(file);
    if (!text || text->find('\0') != std::string::npos) return std::nullopt;
    while (!text->empty() && isspace(static_cast<unsigned char>(text->back()))) text->pop_back();
    return text;
  }

  absl::Status Link(const std::string& name, const std::string& node,
                    const std::string& was) override {
    const std::string path = absl::StrCat(root_, "/dev/", name);
    const std::string to = Relative(name, node);
    const std::string there = LinkTarget(path);
    if (there == to) return absl::OkStatus();
    struct stat info {};
    if (lstat(path.c_str(), &info) == 0) {
      if (was.empty() || there != Relative(name, was)) {
        return absl::AlreadyExistsError(absl::StrCat("/dev/", name, " is something else already"));
      }
      unlink(path.c_str());
    }
    for (size_t slash = name.find('/'); slash != std::string::npos;
         slash = name.find('/', slash + 1)) {
      mkdir(absl::StrCat(root_, "/dev/", name.substr(0, slash)).c_str(), 0755);
    }
    if (symlink(to.c_str(), path.c_str()) != 0) {
      return absl::InternalError(absl::StrCat("/dev/", name, ": ", strerror(errno)));
    }
    return absl::OkStatus();
  }

  void Unlink(const std::string& name, const std::string& node) override {
    const std::string path = absl::StrCat(root_, "/dev/", name);
    if (LinkTarget(path) != Relative(name, node)) return;
    unlink(path.c_str());
    for (size_t slash = name.rfind('/'); slash != std::string::npos && slash > 0;
         slash = name.rfind('/', slash - 1)) {
      if (rmdir(absl::StrCat(root_, "/dev/", name.substr(0, slash)).c_str()) != 0) return;
    }
  }

  std::optional<NodeMode> Mode(const std::string& node) const override {
    struct stat info {};
    if (lstat(absl::StrCat(root_, "/dev/", node).c_str(), &info) != 0 || S_ISLNK(info.st_mode)) {
      return std::nullopt;
    }
    return NodeMode{.mode = info.st_mode & 0777u, .owner = info.st_uid, .group = info.st_gid};
  }

  absl::Status SetMode(const std::string& node, const NodeMode& mode) override {
    const std::string path = absl::StrCat(root_, "/dev/", node);
    // The owner first: changing it takes bits of the mode away.
    if (lchown(path.c_str(), mode.owner, mode.group) != 0 ||
        fchmodat(AT_FDCWD, path.c_str(), mode.mode, 0) != 0) {
      return absl::InternalError(absl::StrCat("/dev/", node, ": ", strerror(errno)));
    }
    return absl::OkStatus();
  }

  int event_fd() const override { return events_ == nullptr ? -1 : events_->fd(); }
  void Drain() override {
    if (events_ != nullptr) events_->Drain();
  }

 private:
  // From a link to the node, however deep the link stands.
  static std::string Relative(const std::string& name, const std::string& node) {
    std::string out;
    for (char c : name) {
      if (c == '/') out += "../";
    }
    return out + node;
  }

  bool Read(const std::string& link, absl::string_view numbers, DeviceNode* node) const {
    char real[PATH_MAX];
    const std::vector<absl::string_view> parts = absl::StrSplit(numbers, ':');
    if (realpath(link.c_str(), real) == nullptr || parts.size() != 2 ||
        !absl::SimpleAtoi(parts[0], &node->major) || !absl::SimpleAtoi(parts[1], &node->minor) ||
        !absl::StartsWith(real, sys_)) {
      return false;
    }
    const std::string directory = real;
    for (absl::string_view line :
         absl::StrSplit(ReadSmall(directory + "/uevent").value_or(""), '\n')) {
      const size_t equals = line.find('=');
      if (equals == absl::string_view::npos) continue;
      node->properties[std::string(line.substr(0, equals))] = std::string(line.substr(equals + 1));
    }
    const auto name = node->properties.find("DEVNAME");
    if (name == node->properties.end()) return false;
    node->node = name->second;
    if (absl::StartsWith(node->node, "/") || absl::StrContains(node->node, "..")) return false;
    node->path = directory.substr(sys_.size());
    node->name = BaseName(directory);
    std::replace(node->name.begin(), node->name.end(), '!', '/');
    node->subsystem = BaseName(LinkTarget(directory + "/subsystem"));
    node->driver = BaseName(LinkTarget(directory + "/driver"));
    // Up to /sys/devices: what has a subsystem is a device.
    std::string at = directory;
    while (node->parents.size() < kMaxParents) {
      at.resize(at.rfind('/'));
      if (at.size() <= sys_.size() + strlen("/devices")) break;
      const std::string subsystem = LinkTarget(at + "/subsystem");
      if (subsystem.empty()) continue;
      node->parents.push_back({.path = at.substr(sys_.size()),
                               .name = BaseName(at),
                               .subsystem = BaseName(subsystem),
                               .driver = BaseName(LinkTarget(at + "/driver"))});
    }
    return true;
  }

  const std::string root_;
  std::string sys_;
  const std::unique_ptr<NetlinkSocket> events_;
};

}  // namespace

std::unique_ptr<Devices> MakeDevices(const std::string& root, bool listen) {
  std::unique_ptr<NetlinkSocket> events;
  if (listen) {
    // Ignoring a failure: what comes later is found by the next look.
    auto opened = NetlinkSocket::Open(NETLINK_KOBJECT_UEVENT, kKernelEvents);
    if (opened.ok()) events = *std::move(opened);
  }
  return std::make_unique<RealDevices>(root, std::move(events));
}

}  // namespace basalt::host
