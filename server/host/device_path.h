// Where a device is plugged in, as udev's path_id names it: what a person copies from another
// system's `udevadm info` into `match.path`.
#pragma once

#include <string>
#include <vector>

namespace basalt::host {

struct DeviceStep {
  std::string subsystem;  // "pci", "usb", "virtio", "platform"
  std::string name;       // "0000:01:00.0"
};

// From the device itself up to the root. "" when no step says where it is. Pure.
std::string IdPath(const std::vector<DeviceStep>& steps);

// Of the directory of a device in sysfs, or a link to it.
std::string DevicePath(const std::string& directory);

}  // namespace basalt::host
