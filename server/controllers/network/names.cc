#include "server/controllers/network/names.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace basalt::network {

std::string HostsText(const v1::MachineConfig* config) {
  std::string text = "# by noded\n127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";
  if (config == nullptr) return text;
  // Its own name has an address whatever DNS and DHCP say: programs ask for it at their start.
  if (!config->metadata().name().empty()) {
    absl::StrAppend(&text, "127.0.1.1 ", config->metadata().name(), "\n");
  }
  for (const v1::HostEntry& entry : config->network().hosts()) {
    absl::StrAppend(&text, entry.ip(), " ", absl::StrJoin(entry.names(), " "), "\n");
  }
  return text;
}

dhcp::Lease ConfiguredNames(const v1::MachineConfig* config) {
  dhcp::Lease names;
  if (config == nullptr) return names;
  const v1::Dns& dns = config->network().dns();
  names.servers.assign(dns.servers().begin(), dns.servers().end());
  names.search.assign(dns.search().begin(), dns.search().end());
  return names;
}

}  // namespace basalt::network
