#include "server/host/device_path.h"

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace basalt::host {
namespace {

namespace fs = std::filesystem;

constexpr int kMostSteps = 64;

// "1-1.2:1.0" is port 1.2 of whatever bus, whose number changes with every boot.
std::string UsbPart(const std::string& name) {
  const size_t dash = name.find('-');
  return dash == std::string::npos ? "" : absl::StrCat("usb-0:", name.substr(dash + 1));
}

}  // namespace

std::string IdPath(const std::vector<DeviceStep>& steps) {
  std::string path;
  for (size_t i = 0; i < steps.size();) {
    const std::string& subsystem = steps[i].subsystem;
    std::string part;
    if (subsystem == "usb") {
      part = UsbPart(steps[i].name);
    } else if (subsystem == "pci" || subsystem == "platform" || subsystem == "acpi" ||
               subsystem == "xen" || subsystem == "vmbus") {
      part = absl::StrCat(subsystem, "-", steps[i].name);
    }
    if (!part.empty()) path = path.empty() ? part : absl::StrCat(part, "-", path);
    // Bridges and hubs above it add nothing: the address of the device has them.
    for (++i; i < steps.size() && steps[i].subsystem == subsystem && !subsystem.empty();) ++i;
  }
  return path;
}

std::string DevicePath(const std::string& directory) {
  std::error_code error;
  fs::path at = fs::canonical(directory, error);
  if (error) return "";
  std::vector<DeviceStep> steps;
  for (int i = 0; i < kMostSteps && at.has_relative_path(); ++i, at = at.parent_path()) {
    const fs::path subsystem = fs::read_symlink(at / "subsystem", error);
    if (!error) steps.push_back({.subsystem = subsystem.filename(), .name = at.filename()});
  }
  return IdPath(steps);
}

}  // namespace basalt::host
