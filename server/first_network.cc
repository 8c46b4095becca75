#include "server/first_network.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt {
namespace {

constexpr char kClient[] = "/usr/sbin/dhcpcd";

}  // namespace

host::ServiceSpec DhcpService(const std::vector<std::string>& links, const std::string& hook) {
  host::ServiceSpec spec;
  spec.name = kDhcpService;
  // One that runs for the same links and hook is taken over by the next noded.
  spec.argv = {"dhcpcd",     "--nobackground",
               "--ipv4only", "--config",
               "/dev/null",  "--script",
               hook,         "--noipv4ll",
               "--option",   "domain_name_servers",
               "--option",   "domain_name",
               "--option",   "domain_search",
               "--option",   "classless_static_routes"};
  spec.argv.insert(spec.argv.end(), links.begin(), links.end());
  spec.env = {"PATH=/usr/sbin:/usr/bin"};
  spec.cgroup = kDhcpService;
  spec.nofile = 1024;
  spec.restart = {.always = true,
                  .delay = absl::Seconds(1),
                  .max_delay = absl::Seconds(60),
                  .rapid = absl::Seconds(30)};
  spec.stop_grace = absl::Seconds(5);
  return spec;
}

std::vector<std::string> EthernetLinks(const std::string& root) {
  std::vector<std::string> links;
  std::error_code error;
  for (const auto& link : std::filesystem::directory_iterator(root + "/sys/class/net", error)) {
    std::ifstream in(link.path() / "type");
    int type = 0;
    in >> type;
    if (type == 1 && std::filesystem::exists(link.path() / "device", error)) {
      links.push_back(link.path().filename());
    }
  }
  std::sort(links.begin(), links.end());
  return links;
}

absl::Status StartFirstNetwork(host::Supervisor& supervisor, const std::string& hook) {
  const std::vector<std::string> links = EthernetLinks("");
  if (links.empty()) return absl::OkStatus();  // noded-init has said so
  host::ServiceSpec spec = DhcpService(links, hook);
  spec.exec_fd.reset(open(kClient, O_RDONLY | O_CLOEXEC));
  if (!spec.exec_fd.valid()) {
    return api::Coded(absl::StatusCode::kNotFound, "no-dhcp-client",
                      absl::StrCat(kClient, ": ", std::strerror(errno)),
                      "the node is reached by IPv6, or wants an image with dhcpcd");
  }
  absl::Status started = supervisor.Start(std::move(spec));
  return absl::IsAlreadyExists(started) ? absl::OkStatus() : started;
}

}  // namespace basalt
