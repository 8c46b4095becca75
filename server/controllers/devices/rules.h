// What rules make of devices: links and modes. Pure, but for attributes, which are asked for.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "machineconfig/format/udev.h"
#include "server/host/devices.h"

namespace basalt::devices {

using ReadAttribute =
    std::function<std::optional<std::string>(const std::string& path, const std::string& name)>;

struct Wanted {
  std::map<std::string, std::string> links;     // name → node, both below /dev
  std::map<std::string, host::NodeMode> modes;  // node → what of it rules say, the rest as it was
  std::vector<std::string> faults;              // two devices want one link; a name that is none
  bool operator==(const Wanted&) const = default;
};

// `rules` in their order; the last line that sets a thing counts, links add up. `ids`: names below
// /dev/disk/by-id of a disk's node ("sda"), which its partitions have as well.
Wanted Apply(const std::vector<format::UdevLine>& rules,
             const std::vector<host::DeviceNode>& devices, const ReadAttribute& attribute,
             const std::function<std::optional<host::NodeMode>(const std::string&)>& mode,
             const std::map<std::string, std::vector<std::string>>& ids);

}  // namespace basalt::devices
