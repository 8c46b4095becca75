#include "server/controllers/network/dhcp_client.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "machineconfig/base/digest.h"

namespace basalt::network {
namespace {

constexpr size_t kTag = 32;

std::string Hex(absl::string_view bytes) {
  return absl::StrJoin(bytes, ":", [](std::string* out, char c) {
    absl::StrAppendFormat(out, "%02x", static_cast<unsigned char>(c));
  });
}

// RFC 4361 has the DUID for both; RFC 2132 knows a string by the type 0. In hexadecimal, so that
// nothing in it is read as syntax.
std::string ClientId(const std::string& text) { return Hex(std::string(1, '\0') + text); }

// A DUID of type UUID, of what the config says.
std::string Duid(const std::string& text) {
  const std::string digest = absl::HexStringToBytes(Sha256(text).Hex());
  return Hex(std::string("\0\4", 2) + digest.substr(0, 16));
}

// A line each: dhcpcd takes the first name of a list for the protocol of all of them.
std::string Options(const DhcpSpec& dhcp) {
  std::vector<std::string> names;
  if (dhcp.v4 && dhcp.use_dns) {
    names.insert(names.end(), {"domain_name_servers", "domain_name", "domain_search"});
  }
  if (dhcp.v4 && dhcp.use_ntp) names.push_back("ntp_servers");
  if (dhcp.v4 && dhcp.use_routes) names.push_back("classless_static_routes");
  if (dhcp.v6 && dhcp.use_dns) {
    names.insert(names.end(), {"dhcp6_name_servers", "dhcp6_domain_search"});
  }
  if (dhcp.v6 && dhcp.use_ntp) names.push_back("dhcp6_sntp_servers");
  std::string text;
  for (const std::string& name : names) absl::StrAppend(&text, "option ", name, "\n");
  return text;
}

std::string Block(const LinkSpec& link, const std::string& name) {
  const DhcpSpec& dhcp = link.dhcp;
  std::string text = absl::StrCat("\ninterface ", link.name, "\n");
  if (!dhcp.v6) absl::StrAppend(&text, "ipv4only\n");
  if (!dhcp.v4) absl::StrAppend(&text, "ipv6only\n");
  // Router advertisements are the kernel's, so DHCPv6 does not wait for one.
  if (dhcp.v6) absl::StrAppend(&text, "noipv6rs\nia_na\n");
  text += Options(dhcp);
  if (!dhcp.use_routes) absl::StrAppend(&text, "nogateway\n");
  if (dhcp.metric != 0) absl::StrAppend(&text, "metric ", dhcp.metric, "\n");
  if (!dhcp.client_id.empty()) absl::StrAppend(&text, "clientid ", ClientId(dhcp.client_id), "\n");
  if (dhcp.send_hostname && !name.empty()) absl::StrAppend(&text, "hostname ", name, "\n");
  return text;
}

}  // namespace

DhcpPlan PlanDhcp(const NetworkSpec& spec, const std::set<std::string>& present,
                  const std::string& name) {
  std::vector<const LinkSpec*> asking;
  for (const LinkSpec& link : spec.links) {
    if (link.dhcp.asks() && present.count(link.name) > 0) asking.push_back(&link);
  }
  std::sort(asking.begin(), asking.end(),
            [](const LinkSpec* a, const LinkSpec* b) { return a->name < b->name; });
  DhcpPlan plan;
  if (asking.empty()) return plan;
  // One identity of DHCPv6 is the whole client's: the first that the config names.
  std::string duid = "ll";
  for (const LinkSpec* link : asking) {
    if (link->dhcp.v6 && !link->dhcp.client_id.empty() && duid == "ll") {
      duid = Duid(link->dhcp.client_id);
    }
  }
  // nodev: asked for more than one link, 9.4.1 looks for its plugins of device managers, and where
  // there are none, as on the image, it crashes before it has asked for a lease.
  plan.config = absl::StrCat("# by noded\nduid ", duid, "\nnoipv4ll\nnodev\n");
  for (const LinkSpec* link : asking) {
    plan.links.push_back(link->name);
    plan.config += Block(*link, name);
  }
  plan.tag = absl::StrCat("dhcp-", Sha256(plan.config).Hex().substr(0, kTag));
  return plan;
}

host::ServiceSpec DhcpService(const DhcpPlan& plan, const std::string& hook,
                              const std::string& config) {
  host::ServiceSpec spec;
  spec.name = kDhcpService;
  spec.tag = plan.tag;
  spec.argv = {"dhcpcd", "--nobackground", "--config", config, "--script", hook};
  // These and no others: K3s's links come and go, and must not be asked for.
  spec.argv.insert(spec.argv.end(), plan.links.begin(), plan.links.end());
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

}  // namespace basalt::network
