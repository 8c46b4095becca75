#include "server/controllers/network/endpoints.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "machineconfig/format/net.h"

namespace basalt::network {
namespace {

constexpr size_t kMost = 8;

}  // namespace

std::vector<std::string> StaticEndpoints(const v1::MachineConfig& config, const std::string& port) {
  std::vector<std::string> ports;
  for (const std::string& listen : config.api().listen()) {
    const auto at = format::ParseHostPort(listen);
    if (at.ok() && std::count(ports.begin(), ports.end(), absl::StrCat(at->port)) == 0) {
      ports.push_back(absl::StrCat(at->port));
    }
  }
  if (ports.empty()) ports.push_back(port);
  std::vector<std::string> out;
  for (bool tunnels : {false, true}) {
    for (const v1::Interface& interface : config.network().interfaces()) {
      if (interface.has_wireguard() != tunnels) continue;
      for (const std::string& text : interface.addresses()) {
        const auto ip = format::ParseIpPrefix(text);
        if (!ip.ok()) continue;
        const std::string host = ip->address.ToString();
        for (const std::string& each : ports) {
          if (out.size() == kMost) return out;
          out.push_back(ip->address.v6() ? absl::StrCat("[", host, "]:", each)
                                         : absl::StrCat(host, ":", each));
        }
      }
    }
  }
  return out;
}

}  // namespace basalt::network
