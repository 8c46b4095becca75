// dhcpcd as a service: which links it asks for, and how. What decides is the config alone; a tag
// tells whether the one that runs is the one that is wanted. Pure but for DhcpService, which reads
// nothing either.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "server/controllers/network/spec.h"
#include "server/host/supervisor.h"

namespace basalt::network {

inline constexpr char kDhcpService[] = "dhcp";
inline constexpr char kDhcpConfig[] = "run/dhcpcd.conf";  // below the root of Vfs

struct DhcpPlan {
  std::vector<std::string> links;  // sorted; empty: nobody asks
  std::string config;              // dhcpcd.conf(5)
  std::string tag;                 // of the service
  bool operator==(const DhcpPlan&) const = default;
};

// Of the links of `spec` those that are `present`. `name`: metadata.name, what servers are told.
DhcpPlan PlanDhcp(const NetworkSpec& spec, const std::set<std::string>& present,
                  const std::string& name);

// exec_fd is left to the caller. `hook` and `config` are absolute paths.
host::ServiceSpec DhcpService(const DhcpPlan& plan, const std::string& hook,
                              const std::string& config);

}  // namespace basalt::network
