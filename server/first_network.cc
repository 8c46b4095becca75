#include "server/first_network.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/controllers/network/dhcp_client.h"

namespace basalt {
namespace {

constexpr char kConfig[] = "/run/dhcpcd.conf";

}  // namespace

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
  network::NetworkSpec asking;
  for (const std::string& link : links) {
    asking.links.push_back({.name = link, .dhcp = {.v4 = true}});
  }
  const network::DhcpPlan plan = network::PlanDhcp(asking, {links.begin(), links.end()}, "");
  std::ofstream(kConfig) << plan.config;
  host::ServiceSpec spec = network::DhcpService(plan, hook, kConfig);
  spec.exec_fd.reset(open(kDhcpClient, O_RDONLY | O_CLOEXEC));
  if (!spec.exec_fd.valid()) {
    return api::Coded(absl::StatusCode::kNotFound, "no-dhcp-client",
                      absl::StrCat(kDhcpClient, ": ", std::strerror(errno)),
                      "the node is reached by IPv6, or wants an image with dhcpcd");
  }
  absl::Status started = supervisor.Start(std::move(spec));
  return absl::IsAlreadyExists(started) ? absl::OkStatus() : started;
}

}  // namespace basalt
