#include "tests/support/network/fake_network.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt::testing {
namespace {

bool SamePrefix(const std::string& a, const std::string& b, int prefix) {
  if (a.size() != b.size()) return false;
  for (int bit = 0; bit < prefix; ++bit) {
    if (((a[bit / 8] ^ b[bit / 8]) >> (7 - bit % 8)) & 1) return false;
  }
  return true;
}

template <typename T, typename Predicate>
size_t Erase(std::vector<T>& from, Predicate predicate) {
  const size_t before = from.size();
  from.erase(std::remove_if(from.begin(), from.end(), predicate), from.end());
  return before - from.size();
}

}  // namespace

FakeNetwork::FakeNetwork() {
  state.links.push_back({.index = 1, .name = "lo", .mtu = 65536, .up = true, .carrier = true});
}

absl::Status FakeNetwork::Begin(const std::string& op, const std::string& what) {
  if (auto it = failures_.find(op); it != failures_.end() && !it->second.empty()) {
    absl::Status status = it->second.front();
    it->second.pop_front();
    return status;
  }
  calls.push_back(absl::StrCat(op, " ", what));
  return absl::OkStatus();
}

host::Link* FakeNetwork::Find(int index) {
  for (host::Link& link : state.links) {
    if (link.index == index) return &link;
  }
  return nullptr;
}

host::Link& FakeNetwork::AddDevice(const std::string& name, const std::string& mac) {
  state.links.push_back({.index = next_index_++,
                         .name = name,
                         .mac = mac,
                         .permanent_mac = mac,
                         .mtu = 1500,
                         .up = true,
                         .carrier = true,
                         .ethernet = true,
                         .device = true,
                         .accept_ra = 1});
  return state.links.back();
}

host::Link& FakeNetwork::AddForeign(const std::string& name, const std::string& kind) {
  state.links.push_back({.index = next_index_++,
                         .name = name,
                         .kind = kind,
                         .mac = "0a:00:00:00:00:01",
                         .mtu = 1450,
                         .up = true,
                         .carrier = true,
                         .ethernet = true,
                         .accept_ra = 1});
  return state.links.back();
}

absl::StatusOr<host::NetworkState> FakeNetwork::Observe() {
  if (auto it = failures_.find("Observe"); it != failures_.end() && !it->second.empty()) {
    absl::Status status = it->second.front();
    it->second.pop_front();
    return status;
  }
  return state;
}

absl::Status FakeNetwork::Make(const host::NewLink& link) {
  if (std::count(no_modules.begin(), no_modules.end(), link.kind) > 0) {
    return api::Coded(absl::StatusCode::kUnimplemented, "kernel-cannot",
                      absl::StrCat("making the ", link.kind, " ", link.name));
  }
  if (state.Find(link.name) != nullptr) return absl::AlreadyExistsError(link.name);
  if (absl::Status status = Begin("Make", link.name); !status.ok()) return status;
  host::Link made{.index = next_index_++,
                  .name = link.name,
                  .kind = link.kind,
                  .alias = link.alias,
                  .mtu = link.kind == "wireguard" ? 1420 : 1500,
                  .carrier = true,
                  .ethernet = link.kind != "wireguard",
                  .below = link.below,
                  .vlan_id = link.vlan_id,
                  .bond = link.bond,
                  .bridge = link.bridge,
                  .accept_ra = 1};
  if (made.ethernet) made.mac = "0a:00:00:00:00:02";
  if (link.kind == "vlan") {
    const host::Link* below = Find(link.below);
    if (below == nullptr) return absl::NotFoundError("no such device");
    made.mtu = below->mtu;
  }
  state.links.push_back(made);
  return absl::OkStatus();
}

absl::Status FakeNetwork::Remove(int index) {
  if (Find(index) == nullptr) return absl::OkStatus();
  if (absl::Status status = Begin("Remove", Find(index)->name); !status.ok()) return status;
  std::vector<int> gone = {index};
  for (const host::Link& link : state.links) {
    if (link.kind == "vlan" && link.below == index) gone.push_back(link.index);
  }
  auto is_gone = [&gone](int link) { return std::count(gone.begin(), gone.end(), link) > 0; };
  Erase(state.addresses, [&](const host::Address& a) { return is_gone(a.link); });
  Erase(state.routes, [&](const host::Route& r) { return is_gone(r.link); });
  Erase(state.links, [&](const host::Link& l) { return is_gone(l.index); });
  for (host::Link& link : state.links) {
    if (is_gone(link.master)) link.master = 0;
  }
  return absl::OkStatus();
}

absl::Status FakeNetwork::Change(int index, const host::LinkChange& change) {
  host::Link* link = Find(index);
  if (link == nullptr) return absl::NotFoundError("no such device");
  if (absl::Status status = Begin("Change", link->name); !status.ok()) return status;
  auto flush_routes = [&] {
    Erase(state.routes, [&](const host::Route& r) { return r.link == index; });
  };
  if (change.down.value_or(false)) {
    link->up = false;
    flush_routes();
    // The kernel keeps IPv4 addresses of a link that is down, and drops those of IPv6.
    Erase(state.addresses,
          [&](const host::Address& a) { return a.link == index && a.ip.size() == 16; });
  }
  if (change.name && *change.name != link->name) {
    if (state.Find(*change.name) != nullptr) return absl::AlreadyExistsError(*change.name);
    link->name = *change.name;
  }
  if (change.alias) link->alias = *change.alias;
  if (change.mac) link->mac = *change.mac;
  if (change.master) {
    const host::Link* master = Find(*change.master);
    if (*change.master != 0 && master == nullptr) return absl::NotFoundError("no such master");
    if (master != nullptr && master->kind == "bond" && link->up) {
      return absl::InvalidArgumentError("a member of a bond must be down");
    }
    link->master = *change.master;
    if (master != nullptr && master->kind == "bond") link->up = true;
  }
  if (change.mtu) {
    for (const host::Link& below : state.links) {
      if (link->kind == "vlan" && below.index == link->below && *change.mtu > below.mtu) {
        return absl::InvalidArgumentError("the MTU is larger than that below");
      }
    }
    link->mtu = *change.mtu;
  }
  if (change.bond) {
    const int mode = link->bond.mode;
    link->bond = *change.bond;
    link->bond.mode = mode;
  }
  if (change.active) link->active = *change.active;
  if (change.stp) link->bridge.stp = *change.stp;
  if (change.vlan_filtering) link->bridge.vlan_filtering = *change.vlan_filtering;
  if (change.accept_ra) link->accept_ra = *change.accept_ra;
  if (change.up.value_or(false)) link->up = true;
  return absl::OkStatus();
}

absl::Status FakeNetwork::Add(const host::Address& address) {
  if (Find(address.link) == nullptr) return absl::NotFoundError("no such device");
  if (absl::Status status = Begin("AddAddress", ""); !status.ok()) return status;
  Erase(state.addresses, [&](const host::Address& a) {
    return a.link == address.link && a.ip == address.ip && a.prefix == address.prefix;
  });
  state.addresses.push_back(address);
  state.addresses.back().no_dad = false;
  return absl::OkStatus();
}

absl::Status FakeNetwork::Remove(const host::Address& address) {
  auto same = [&](const host::Address& a) {
    return a.link == address.link && a.ip == address.ip && a.prefix == address.prefix;
  };
  if (std::none_of(state.addresses.begin(), state.addresses.end(), same)) return absl::OkStatus();
  if (absl::Status status = Begin("RemoveAddress", ""); !status.ok()) return status;
  Erase(state.addresses, same);
  Erase(state.routes, [&](const host::Route& r) { return r.source == address.ip; });
  return absl::OkStatus();
}

bool FakeNetwork::Reachable(const host::Route& route) const {
  if (route.via.empty() || route.on_link) return true;
  const bool link_local = route.v6() && static_cast<unsigned char>(route.via[0]) == 0xfe &&
                          (static_cast<unsigned char>(route.via[1]) & 0xc0) == 0x80;
  if (link_local) return true;
  for (const host::Address& a : state.addresses) {
    if (a.link == route.link && SamePrefix(a.ip, route.via, a.prefix)) return true;
  }
  for (const host::Route& r : state.routes) {
    if (r.link == route.link && r.via.empty() && SamePrefix(r.to, route.via, r.prefix)) return true;
  }
  return false;
}

absl::Status FakeNetwork::Add(const host::Route& route) {
  const host::Link* link = Find(route.link);
  if (link == nullptr) return absl::NotFoundError("no such device");
  if (!link->up) return absl::UnavailableError("the link is down");
  if (!Reachable(route)) return absl::InvalidArgumentError("the router is unreachable");
  if (absl::Status status = Begin("AddRoute", ""); !status.ok()) return status;
  host::Route added = route;
  if (added.v6() && added.metric == 0) added.metric = 1024;
  for (const host::Route& r : state.routes) {
    host::Route other = r;
    other.protocol = added.protocol;
    if (other == added) return absl::AlreadyExistsError("the route is there");
  }
  state.routes.push_back(added);
  return absl::OkStatus();
}

absl::Status FakeNetwork::Remove(const host::Route& route) {
  auto same = [&](const host::Route& r) { return r == route; };
  if (std::none_of(state.routes.begin(), state.routes.end(), same)) return absl::OkStatus();
  if (absl::Status status = Begin("RemoveRoute", ""); !status.ok()) return status;
  Erase(state.routes, same);
  return absl::OkStatus();
}

absl::Status FakeNetwork::Add(const host::Rule& rule) {
  if (std::count(state.rules.begin(), state.rules.end(), rule) > 0) {
    return absl::AlreadyExistsError("the rule is there");
  }
  if (absl::Status status = Begin("AddRule", ""); !status.ok()) return status;
  state.rules.push_back(rule);
  return absl::OkStatus();
}

absl::Status FakeNetwork::Remove(const host::Rule& rule) {
  if (std::count(state.rules.begin(), state.rules.end(), rule) == 0) return absl::OkStatus();
  if (absl::Status status = Begin("RemoveRule", ""); !status.ok()) return status;
  Erase(state.rules, [&](const host::Rule& r) { return r == rule; });
  return absl::OkStatus();
}

absl::Status FakeNetwork::SetBridgeVlan(int member, int vlan, bool passes) {
  host::Link* link = Find(member);
  if (link == nullptr) return absl::NotFoundError("no such device");
  if (absl::Status status = Begin("SetBridgeVlan", link->name); !status.ok()) return status;
  if (passes) {
    link->vlans.insert(vlan);
  } else {
    link->vlans.erase(vlan);
  }
  return absl::OkStatus();
}

}  // namespace basalt::testing
