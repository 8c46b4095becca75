// The mark that a link of the config bears in the kernel, as its alias (`ip link` shows it):
// whether noded made it, and what it was before, so that taking it out of the config undoes what
// the config did. It goes with the link, and with the power.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "server/host/network.h"

namespace basalt::network {

// "basalt made", "basalt was name=eth1 mac=52:54:00:00:00:01 mtu=1500"
struct Mark {
  bool ours = false;  // a link of the config
  bool made = false;  // made by noded
  std::string name;   // before
  std::string mac;
  int64_t mtu = 0;
  bool operator==(const Mark&) const = default;
};

std::string ToText(const Mark& mark);
Mark ReadMark(absl::string_view alias);

// What the device was called before a config renamed it.
std::string OriginalName(const host::Link& link);
// Its own address, whatever it was given since.
std::string OriginalMac(const host::Link& link);

}  // namespace basalt::network
