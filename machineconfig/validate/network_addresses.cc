// Rules for addresses and routes of `network.interfaces`, and for what else of the config relies on
// them.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/network_rules.h"

namespace basalt::validate {
namespace {

constexpr int64_t kLeastIpv6Mtu = 1280;  // RFC 8200
constexpr int64_t kMainTable = 254;

bool LinkLocal(const format::IpAddress& ip) {
  const auto a = static_cast<unsigned char>(ip.bytes[0]);
  const auto b = static_cast<unsigned char>(ip.bytes[1]);
  return ip.v6() ? a == 0xFE && (b & 0xC0) == 0x80 : a == 169 && b == 254;
}

struct Address {
  format::IpPrefix ip;
  format::Cidr network;
  int interface;
  std::string path;

  bool v6() const { return ip.address.v6(); }
};

class Checker {
 public:
  Checker(const v1::MachineConfig& config, const Interfaces& interfaces, Report& report)
      : config_(config), interfaces_(interfaces), report_(report), of_(interfaces.size()) {}

  void Check() {
    for (int i = 0; i < interfaces_.size(); ++i) Collect(i);
    CheckTwice();
    CheckCluster();
    for (int i = 0; i < interfaces_.size(); ++i) {
      CheckMtu(i);
      const v1::Interface& interface = interfaces_.at(i);
      for (int k = 0; k < interface.routes_size(); ++k) {
        CheckRoute(i, interface.routes(k),
                   schema::Element(schema::Child(interfaces_.paths[i], "routes"), k));
      }
    }
    CheckReachable();
    CheckUsers();
  }

 private:
  void Collect(int i) {
    const v1::Interface& interface = interfaces_.at(i);
    asks4_ |= interface.dhcp4();
    // Routers give addresses as well, unless they may not.
    asks6_ |= interface.dhcp6() || !interface.has_accept_ra() || interface.accept_ra();
    for (int k = 0; k < interface.addresses_size(); ++k) {
      auto ip = format::ParseIpPrefix(interface.addresses(k));
      if (!ip.ok()) continue;
      of_[i].push_back(static_cast<int>(addresses_.size()));
      own_.insert(ip->address.bytes);
      addresses_.push_back({*ip, ip->Network(), i,
                            schema::Element(schema::Child(interfaces_.paths[i], "addresses"), k)});
    }
  }

  void CheckTwice() {
    std::map<std::string, const Address*> seen;
    std::vector<const Address*> sorted;
    for (const Address& address : addresses_) {
      auto [it, fresh] = seen.try_emplace(address.ip.address.bytes, &address);
      if (!fresh) {
        report_.Error(address.path, "conflict",
                      absl::StrCat("the address stands twice; first at ", it->second->path),
                      "remove one of the two");
      } else if (address.ip.prefix < (address.v6() ? 128 : 32) && !LinkLocal(address.ip.address)) {
        sorted.push_back(&address);
      }
    }
    // Networks overlap only by lying in each other: in this order those that hold one are before
    // it.
    std::stable_sort(sorted.begin(), sorted.end(), [](const Address* a, const Address* b) {
      return std::make_tuple(a->v6(), a->network.network.bytes, a->network.prefix) <
             std::make_tuple(b->v6(), b->network.network.bytes, b->network.prefix);
    });
    std::vector<const Address*> around;
    for (const Address* inner : sorted) {
      while (!around.empty() && !Overlap(around.back()->network, inner->network)) around.pop_back();
      if (!around.empty() && around.back()->interface != inner->interface) {
        const auto [first, second] = std::minmax(around.back(), inner);  // as in the document
        report_.Warning(
            second->path, "same-network",
            absl::StrCat("`", interfaces_.at(first->interface).name(), "` is in the network ",
                         Text(first->network), " too: answers leave by either interface"),
            "one network to an interface; for more bandwidth use a bond");
      }
      around.push_back(inner);
    }
  }

  void CheckCluster() {
    if (!config_.has_k3s()) return;
    // An agent does not know what its servers have: these are the defaults.
    const bool server = config_.k3s().role() == v1::K3S_ROLE_SERVER;
    const std::vector<ClusterNetwork> clusters = ClusterNetworks(config_.k3s());
    for (const Address& address : addresses_) {
      for (const ClusterNetwork& cluster : clusters) {
        if (!Overlap(address.network, cluster.network)) continue;
        const std::string what = absl::StrCat(
            "overlaps the network of the cluster's ", cluster.what, ", ", Text(cluster.network),
            server ? "" : ", unless its servers have another one");
        if (server) {
          report_.Error(address.path, "conflict", what,
                        absl::StrCat("give the node another address, or set k3s.config.",
                                     cluster.key, " on every server before the first start"));
        } else {
          report_.Warning(address.path, "conflict", what);
        }
      }
    }
  }

  void CheckMtu(int i) {
    const v1::Interface& interface = interfaces_.at(i);
    if (!interface.has_mtu() || interface.mtu() >= kLeastIpv6Mtu) return;
    if (!interface.dhcp6() && Networks(i, /*v6=*/true).empty()) return;
    report_.Error(
        schema::Child(interfaces_.paths[i], "mtu"), "out-of-range",
        absl::StrCat(interface.mtu(), " is too small for IPv6; allowed: at least ", kLeastIpv6Mtu),
        "remove the IPv6 addresses, or raise it");
  }

  // Of the interface, of one family.
  std::vector<const format::Cidr*> Networks(int i, bool v6) const {
    std::vector<const format::Cidr*> out;
    for (int k : of_[i]) {
      if (addresses_[k].v6() == v6) out.push_back(&addresses_[k].network);
    }
    return out;
  }

  void CheckRoute(int i, const v1::Route& route, const std::string& path) {
    const v1::Interface& interface = interfaces_.at(i);
    const auto via = format::ParseIp(route.via());
    const auto to = format::ParseCidr(route.to());
    const auto source = format::ParseIp(route.source());
    if ((route.has_via() && !via.ok()) || (route.to() != "default" && !to.ok()) ||
        (route.has_source() && !source.ok())) {
      return;  // reported
    }
    if (!to.ok() && !route.has_via() && !route.has_source()) {
      return report_.Error(schema::Child(path, "to"), "bad-format",
                           "`default` without `via` says neither IPv4 nor IPv6",
                           "via: the router's address; or to: 0.0.0.0/0 or ::/0");
    }
    const bool v6 = to.ok() ? to->network.v6() : via.ok() ? via->v6() : source->v6();
    CheckDuplicateRoute(route, to.ok() ? Text(*to) : v6 ? "::/0" : "0.0.0.0/0", path);
    if (source.ok() && source->v6() != v6) {
      report_.Error(schema::Child(path, "source"), "conflict",
                    "is of the other family than the network");
    } else if (source.ok() && !(v6 ? asks6_ : asks4_) && !Has(*source)) {
      report_.Error(schema::Child(path, "source"), "unknown-address", "is no address of this node",
                    "one of `addresses`");
    }
    if (!via.ok()) return;
    const std::string at = schema::Child(path, "via");
    if (via->v6() != v6 && !via->v6()) {
      return report_.Error(at, "conflict", "an IPv4 router cannot lead to an IPv6 network");
    }
    if (Has(*via)) {
      return report_.Error(at, "conflict", "is an address of this node itself",
                           "the address of the router");
    }
    const bool asks = via->v6() ? interface.dhcp6() : interface.dhcp4();
    const bool hears = via->v6() && (!interface.has_accept_ra() || interface.accept_ra());
    const std::vector<const format::Cidr*> networks = Networks(i, via->v6());
    const bool reached = std::any_of(networks.begin(), networks.end(),
                                     [&](const format::Cidr* n) { return n->Contains(*via); });
    // What it is given by others is not known here.
    if (reached || route.on_link() || LinkLocal(*via) || asks || (hears && networks.empty()))
      return;
    report_.Error(
        at, "unreachable-gateway",
        networks.empty()
            ? absl::StrCat("`", interface.name(), "` has no address in the network of the router")
            : absl::StrCat("is outside of the networks of `", interface.name(), "`: ",
                           absl::StrJoin(networks, ", ",
                                         [](std::string* out, const format::Cidr* n) {
                                           absl::StrAppend(out, Text(*n));
                                         })),
        "correct one of the two, or say onLink: true");
  }

  void CheckDuplicateRoute(const v1::Route& route, const std::string& to, const std::string& path) {
    const int64_t table = route.has_table() ? route.table() : kMainTable;
    auto [it, fresh] = routes_.try_emplace(std::make_tuple(to, table, route.metric()), path);
    if (fresh) return;
    report_.Error(
        path, "conflict",
        absl::StrCat("a second way to ", to,
                     route.has_metric() ? absl::StrCat(" with metric ", route.metric()) : "",
                     "; the first is ", it->second),
        "give the one that shall be used second a larger `metric`");
  }

  bool Has(const format::IpAddress& ip) const { return own_.count(ip.bytes) > 0; }

  void CheckReachable() {
    if (interfaces_.size() == 0) return;
    if (addresses_.empty() && !asks4_ && !asks6_) {
      return report_.Error(
          "network.interfaces", "no-address",
          "no interface has an address or asks for one: nobody could reach the node",
          "dhcp4: true or addresses: [...] on one of them");
    }
    // Routers and DHCP servers name themselves.
    const bool has4 =
        std::any_of(addresses_.begin(), addresses_.end(), [](const Address& a) { return !a.v6(); });
    const bool way4 = std::any_of(routes_.begin(), routes_.end(), [](const auto& route) {
      return std::get<0>(route.first) == "0.0.0.0/0";
    });
    if (has4 && !asks4_ && !way4) {
      report_.Warning("network.interfaces", "no-default-route",
                      "no route leads out of the networks of the node: images and time servers are "
                      "out of reach",
                      "routes: [{to: default, via: ROUTER}]");
    }
  }

  // Fields elsewhere that name addresses of this node.
  void CheckUsers() {
    if (interfaces_.size() == 0) return;
    auto check = [&](absl::string_view text, const std::string& path) {
      const auto ip = format::ParseIp(text);
      if (!ip.ok() || Has(*ip) || (ip->v6() ? asks6_ : asks4_)) return;
      const std::string any = ip->v6() ? "::" : "0.0.0.0";
      const bool loopback = ip->v6() ? ip->ToString() == "::1" : ip->bytes[0] == 127;
      if (ip->ToString() == any || loopback) return;
      report_.Error(path, "unknown-address",
                    absl::StrCat(ip->ToString(),
                                 " is no address of this node; network.interfaces have ", Listed()),
                    "correct one of the two");
    };
    for (int i = 0; i < config_.k3s().node().ip_size(); ++i) {
      check(config_.k3s().node().ip(i), schema::Element("k3s.node.ip", i));
    }
    for (int i = 0; i < config_.api().listen_size(); ++i) {
      if (auto at = format::ParseHostPort(config_.api().listen(i)); at.ok()) {
        check(at->host, schema::Element("api.listen", i));
      }
    }
    const auto subnet = format::ParseCidr(config_.k3s().node().ip_subnet());
    if (!subnet.ok() || (subnet->network.v6() ? asks6_ : asks4_)) return;
    const bool inside = std::any_of(addresses_.begin(), addresses_.end(), [&](const Address& a) {
      return subnet->Contains(a.ip.address);
    });
    if (inside) return;
    report_.Error("k3s.node.ipSubnet", "unknown-address",
                  absl::StrCat("no address of this node is in ", Text(*subnet),
                               "; network.interfaces have ", Listed()),
                  "correct one of the two");
  }

  std::string Listed() const {
    std::vector<std::string> out;
    for (const Address& a : addresses_) out.push_back(a.ip.address.ToString());
    if (out.size() > 4) {
      out.resize(4);
      out.push_back("...");
    }
    return out.empty() ? "none" : absl::StrJoin(out, ", ");
  }

  const v1::MachineConfig& config_;
  const Interfaces& interfaces_;
  Report& report_;
  std::vector<Address> addresses_;
  std::vector<std::vector<int>> of_;  // of each interface, into addresses_
  std::set<std::string> own_;         // their bytes
  std::map<std::tuple<std::string, int64_t, int64_t>, std::string> routes_;  // → path
  bool asks4_ = false;
  bool asks6_ = false;
};

}  // namespace

void CheckAddresses(const v1::MachineConfig& config, const Interfaces& interfaces, Report& report) {
  Checker(config, interfaces, report).Check();
}

}  // namespace basalt::validate
