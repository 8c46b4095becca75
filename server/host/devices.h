// Device nodes of the machine, as rules are written about them: what sysfs says of each and of what
// it hangs on, links below /dev to them, their modes. The kernel makes the nodes.
//
// Thread-safety: List and Attribute from any thread (a device may be slow to answer); the rest from
// one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace basalt::host {

struct DeviceNode {
  std::string node;       // below /dev: "ttyUSB0", "bus/usb/001/004"
  std::string path;       // below /sys: "/devices/pci0000:00/.../tty/ttyUSB0"
  std::string name;       // "ttyUSB0"
  std::string subsystem;  // "tty"
  std::string driver;
  unsigned major = 0, minor = 0;
  std::map<std::string, std::string> properties;  // of its uevent: DEVTYPE, PARTNAME, ...
  // The directories above it that are devices too, the nearest first.
  struct Parent {
    std::string path, name, subsystem, driver;
    bool operator==(const Parent&) const = default;
  };
  std::vector<Parent> parents;
  bool operator==(const DeviceNode&) const = default;
};

struct NodeMode {
  uint32_t mode = 0600;
  uint32_t owner = 0, group = 0;
  bool operator==(const NodeMode&) const = default;
};

class Devices {
 public:
  virtual ~Devices() = default;
  virtual std::vector<DeviceNode> List() const = 0;  // by node
  // Of a directory of sysfs; without the blanks at its end. nullopt: there is none, or it is no
  // text.
  virtual std::optional<std::string> Attribute(const std::string& path,
                                               const std::string& name) const = 0;

  // `name` and `node` below /dev. AlreadyExists: something else stands there, which is left alone
  // unless it is a link to `was`.
  virtual absl::Status Link(const std::string& name, const std::string& node,
                            const std::string& was) = 0;
  // Removes it while it is a link to `node`, and directories that are empty then.
  virtual void Unlink(const std::string& name, const std::string& node) = 0;
  virtual std::optional<NodeMode> Mode(const std::string& node) const = 0;
  virtual absl::Status SetMode(const std::string& node, const NodeMode& mode) = 0;

  // Readable when a device came or went; -1: nobody says so.
  virtual int event_fd() const = 0;
  virtual void Drain() = 0;
};

// Below `root`, "" but in tests. `listen`: to the kernel.
std::unique_ptr<Devices> MakeDevices(const std::string& root, bool listen);

}  // namespace basalt::host
