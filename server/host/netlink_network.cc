#include <linux/rtnetlink.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/host/device_path.h"
#include "server/host/netlink_socket.h"
#include "server/host/network.h"
#include "server/host/route_messages.h"

namespace basalt::host {
namespace {

namespace fs = std::filesystem;

constexpr int kDumps = 5;
constexpr uint32_t kGroups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE |
                             RTMGRP_IPV4_RULE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;

std::string AcceptRaFile(const std::string& link) {
  return absl::StrCat("/proc/sys/net/ipv6/conf/", link, "/accept_ra");
}

absl::Status GoneIsFine(absl::Status status) {
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// What the kernel tells by files alone.
void ReadFiles(Link& link) {
  std::ifstream accept_ra(AcceptRaFile(link.name));
  if (!(accept_ra >> link.accept_ra)) link.accept_ra = -1;
  const std::string base = absl::StrCat("/sys/class/net/", link.name);
  std::error_code error;
  if (!link.kind.empty() || !fs::exists(base + "/device", error)) return;
  link.device = link.ethernet && !fs::exists(base + "/phy80211", error);
  link.driver = fs::read_symlink(base + "/device/driver", error).filename();
  link.path = DevicePath(base + "/device");
}

class NetlinkNetwork : public Network {
 public:
  NetlinkNetwork(std::unique_ptr<NetlinkSocket> requests, std::unique_ptr<NetlinkSocket> events)
      : requests_(std::move(requests)), events_(std::move(events)) {}

  absl::StatusOr<NetworkState> Observe() override {
    for (int i = 1;; ++i) {
      absl::StatusOr<NetworkState> state = ObserveOnce();
      if (!absl::IsAborted(state.status()) || i == kDumps) return state;
    }
  }

  absl::Status Make(const NewLink& link) override {
    const std::string what = absl::StrCat("making the ", link.kind, " ", link.name);
    absl::Status status = requests_->Ask(MakeMessage(link), what);
    if (!status.ok() || link.alias.empty()) return status;
    absl::StatusOr<NetworkState> state = Links();
    const Link* made = state.ok() ? state->Find(link.name) : nullptr;
    if (made == nullptr) return absl::NotFoundError(absl::StrCat(what, ": it is gone again"));
    return Change(made->index, {.alias = link.alias});
  }

  absl::Status Remove(int link) override {
    return GoneIsFine(requests_->Ask(RemoveMessage(link), "removing the link"));
  }

  absl::Status Change(int link, const LinkChange& change) override {
    for (auto& [what, message] : ChangeMessages(link, change)) {
      if (absl::Status status = requests_->Ask(std::move(message), what); !status.ok())
        return status;
    }
    return change.accept_ra ? SetAcceptRa(link, *change.accept_ra) : absl::OkStatus();
  }

  absl::Status Add(const Address& address) override {
    return requests_->Ask(AddressMessage(address, true), "adding an address");
  }
  absl::Status Remove(const Address& address) override {
    return GoneIsFine(requests_->Ask(AddressMessage(address, false), "removing an address"));
  }
  absl::Status Add(const Route& route) override {
    return requests_->Ask(RouteMessage(route, true), "adding a route");
  }
  absl::Status Remove(const Route& route) override {
    return GoneIsFine(requests_->Ask(RouteMessage(route, false), "removing a route"));
  }
  absl::Status Add(const Rule& rule) override {
    return requests_->Ask(RuleMessage(rule, true), "adding a routing rule");
  }
  absl::Status Remove(const Rule& rule) override {
    return GoneIsFine(requests_->Ask(RuleMessage(rule, false), "removing a routing rule"));
  }

  absl::Status SetBridgeVlan(int member, int vlan, bool passes) override {
    absl::StatusOr<NetworkState> state = Links();
    if (!state.ok()) return state.status();
    const Link* link = state->Find(member);
    if (link == nullptr) return absl::NotFoundError("the member is gone");
    absl::Status status = requests_->Ask(
        BridgeVlanMessage(member, vlan, passes, link->kind == "bridge"), "setting a VLAN");
    return passes ? status : GoneIsFine(status);
  }

  int event_fd() const override { return events_->fd(); }
  void DrainEvents() override { events_->Drain(); }

 private:
  absl::StatusOr<NetworkState> Links() {
    NetworkState state;
    absl::Status status =
        requests_->Read(DumpLinks(), "listing links", [&state](const nlmsghdr* message) {
          if (std::optional<Link> link = ReadLink(message)) state.links.push_back(*std::move(link));
        });
    if (!status.ok()) return status;
    return state;
  }

  absl::StatusOr<NetworkState> ObserveOnce() {
    absl::StatusOr<NetworkState> state = Links();
    if (!state.ok()) return state.status();
    bool bridges = false;
    for (Link& link : state->links) {
      ReadFiles(link);
      bridges |= link.kind == "bridge" && link.bridge.vlan_filtering;
    }
    absl::Status status;
    if (bridges) {
      status = requests_->Read(DumpBridgeVlans(), "listing VLANs", [&](const nlmsghdr* message) {
        const auto vlans = ReadBridgeVlans(message);
        for (Link& link : state->links) {
          if (vlans && vlans->first == link.index) link.vlans = vlans->second;
        }
      });
    }
    if (status.ok()) {
      status = requests_->Read(DumpAddresses(), "listing addresses", [&](const nlmsghdr* message) {
        if (auto address = ReadAddress(message)) state->addresses.push_back(*std::move(address));
      });
    }
    if (status.ok()) {
      status = requests_->Read(DumpRoutes(), "listing routes", [&](const nlmsghdr* message) {
        if (auto route = ReadRoute(message)) state->routes.push_back(*std::move(route));
      });
    }
    if (status.ok()) {
      status = requests_->Read(DumpRules(), "listing routing rules", [&](const nlmsghdr* message) {
        if (auto rule = ReadRule(message)) state->rules.push_back(*std::move(rule));
      });
    }
    if (!status.ok()) return status;
    return state;
  }

  absl::Status SetAcceptRa(int index, int value) {
    absl::StatusOr<NetworkState> state = Links();
    if (!state.ok()) return state.status();
    const Link* link = state->Find(index);
    if (link == nullptr) return absl::NotFoundError("the link is gone");
    std::ofstream file(AcceptRaFile(link->name));
    file << value << std::flush;
    return file ? absl::OkStatus()
                : api::Coded(absl::StatusCode::kUnimplemented, "kernel-cannot",
                             absl::StrCat("writing ", AcceptRaFile(link->name)),
                             "the kernel of this node speaks no IPv6");
  }

  std::unique_ptr<NetlinkSocket> requests_;
  std::unique_ptr<NetlinkSocket> events_;
};

}  // namespace

const Link* NetworkState::Find(const std::string& name) const {
  for (const Link& link : links) {
    if (link.name == name) return &link;
  }
  return nullptr;
}

const Link* NetworkState::Find(int index) const {
  for (const Link& link : links) {
    if (link.index == index) return &link;
  }
  return nullptr;
}

absl::StatusOr<std::unique_ptr<Network>> OpenNetwork() {
  absl::StatusOr<std::unique_ptr<NetlinkSocket>> requests = NetlinkSocket::Open(NETLINK_ROUTE);
  if (!requests.ok()) return requests.status();
  absl::StatusOr<std::unique_ptr<NetlinkSocket>> events =
      NetlinkSocket::Open(NETLINK_ROUTE, kGroups);
  if (!events.ok()) return events.status();
  return std::make_unique<NetlinkNetwork>(*std::move(requests), *std::move(events));
}

}  // namespace basalt::host
