// Where a machine that has no config may look for its first one. Pure.
//
// No node asks addresses of its network blindly: a cloud's metadata service is asked only where the
// machine's own firmware says that it is a machine of that cloud. Who may make a node ask a URL is
// who wrote its command line (signed with the kernel image) or its firmware's serial number (the
// owner of the hypervisor). Whatever comes back is obeyed for its signature alone.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace basalt::first {

// From /sys/class/dmi/id and /proc/cmdline, without the end of the line.
struct MachineFacts {
  std::string sys_vendor, product_name, product_serial, chassis_asset_tag, bios_version;
  std::string command_line;
};

enum class SourceKind {
  kBootPartition,  // basalt/config.* on the ESP
  kMedium,         // another partition or disc: CIDATA, config-2, BASALT
  kUrl,            // noded.config=URL, or ds=nocloud;s=URL
  kAws,
  kGcp,
  kAzure,
  kOpenStack,
  kHetzner,
};

struct Source {
  SourceKind kind = SourceKind::kBootPartition;
  std::string url;  // of kUrl
  bool operator==(const Source&) const = default;
};

// In the order in which they are asked: what somebody holds in the hand before what a network says.
std::vector<Source> SourcesFor(const MachineFacts& facts);

// As a person calls it: "the boot partition", "user-data of AWS", the URL without its query.
std::string NameOf(const Source& source);

// Of "a=1 noded.config=URL b": the last value; "" when there is none.
std::string ArgumentOf(absl::string_view command_line, absl::string_view name);

}  // namespace basalt::first
