// Rules for `network.interfaces`: names, selectors, and who is on top of whom.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/network_rules.h"

namespace basalt::validate {
namespace {

constexpr int64_t kUsualMtu = 1500;

// "" for a device of the machine.
absl::string_view Made(const v1::Interface& interface) {
  switch (interface.kind_case()) {
    case v1::Interface::kVlan:
      return "VLAN";
    case v1::Interface::kBond:
      return "bond";
    case v1::Interface::kBridge:
      return "bridge";
    case v1::Interface::kWireguard:
      return "WireGuard tunnel";
    case v1::Interface::kWifi:
    case v1::Interface::KIND_NOT_SET:
      break;
  }
  return "";
}

// Whose the name is, when it is not the owner's to give.
absl::string_view TakenBy(absl::string_view name) {
  if (name == "lo" || name == "all" || name == "default") return "the kernel";
  if (name == "cni0" || absl::StartsWith(name, "flannel") || absl::StartsWith(name, "veth") ||
      absl::StartsWith(name, "kube-")) {
    return "K3s";
  }
  return "";
}

class Checker {
 public:
  Checker(const Interfaces& interfaces, Report& report)
      : interfaces_(interfaces), report_(report), owner_(interfaces.size()) {}

  void Check() {
    for (int i = 0; i < interfaces_.size(); ++i) CheckSelector(i);
    for (int i = 0; i < interfaces_.size(); ++i) {
      const v1::Interface& interface = interfaces_.at(i);
      if (interface.has_bond()) CheckBond(i, interface.bond());
      if (interface.has_bridge()) CheckBridge(i, interface.bridge());
      if (interface.has_wireguard()) CheckWireguard(interface, interfaces_.paths[i], report_);
      if (interface.has_wifi()) CheckWifi(i, interface.wifi());
    }
    // Only now it is known who is a member.
    for (int i = 0; i < interfaces_.size(); ++i) {
      if (interfaces_.at(i).has_vlan()) CheckVlan(i, interfaces_.at(i).vlan());
      if (owner_[i]) CheckMemberIsBare(i);
    }
    CheckCycles();
  }

 private:
  std::string Path(int i, absl::string_view below) const {
    return schema::Child(interfaces_.paths[i], below);
  }

  void CheckSelector(int i) {
    const v1::Interface& interface = interfaces_.at(i);
    if (absl::string_view who = TakenBy(interface.name()); !who.empty()) {
      report_.Error(Path(i, "name"), "reserved-name",
                    absl::StrCat("`", interface.name(), "` is a name that ", who, " uses"),
                    "choose another one");
    }
    if (!interface.has_match()) return;
    if (!Made(interface).empty()) {
      report_.Error(Path(i, "match"), "conflict",
                    absl::StrCat("the node makes a ", Made(interface),
                                 " itself; there is no device to be found"),
                    "remove `match`; the devices below it are interfaces of their own");
      return;
    }
    const v1::InterfaceMatch& match = interface.match();
    if (match.ByteSizeLong() == 0) {
      return report_.Error(Path(i, "match"), "required", "says nothing by which a device is found",
                           "mac, driver or path; or remove it to find the device by its name");
    }
    auto taken = [&](const std::string& what, absl::string_view field, absl::string_view message) {
      auto [it, fresh] = selectors_.try_emplace(what, interfaces_.paths[i]);
      if (fresh) return false;
      report_.Error(Path(i, field), "conflict",
                    absl::StrCat(message, "; the first is ", it->second),
                    "one device has one name; keep one of the two");
      return true;
    };
    if (match.has_mac() &&
        taken("mac " + match.mac(), "match.mac", "two interfaces match this MAC address"))
      return;
    if (match.has_path() &&
        taken("path " + match.path(), "match.path", "two interfaces match this path"))
      return;
    if (!match.has_mac() && !match.has_path()) {
      taken("driver " + match.driver(), "match.driver", "two interfaces match this driver");
    }
  }

  // The interface that `name` means; a finding when there is none.
  std::optional<int> Find(int i, const std::string& name, const std::string& path) {
    auto it = interfaces_.by_name.find(name);
    if (it != interfaces_.by_name.end() && it->second != i) return it->second;
    if (name.empty()) return std::nullopt;  // reported as missing
    if (it != interfaces_.by_name.end()) {
      report_.Error(path, "cycle", "is the interface itself", "name another one");
      return std::nullopt;
    }
    const std::string near = interfaces_.Near(name);
    report_.Error(path, "unknown-interface",
                  absl::StrCat("no interface `", name, "` in network.interfaces"),
                  near.empty() ? absl::StrCat("add `- name: ", name, "` there")
                               : absl::StrCat("did you mean `", near, "`?"));
    return std::nullopt;
  }

  template <typename List>
  void CheckMembers(int i, const List& members, const std::string& path) {
    const v1::Interface& interface = interfaces_.at(i);
    for (int k = 0; k < members.size(); ++k) {
      const std::string here = schema::Element(path, k);
      const std::optional<int> member = Find(i, members[k], here);
      if (!member) continue;
      edges_.emplace(i, *member);
      const v1::Interface& other = interfaces_.at(*member);
      if (owner_[*member] && *owner_[*member] != i) {
        report_.Error(here, "conflict",
                      absl::StrCat("`", members[k], "` is a member of `",
                                   interfaces_.at(*owner_[*member]).name(), "` already"),
                      "an interface is a member of one bond or bridge");
        continue;
      }
      owner_[*member] = i;
      if (other.has_wireguard()) {
        report_.Error(here, "conflict",
                      "a WireGuard tunnel carries addresses, not Ethernet frames; it cannot be a "
                      "member",
                      "give the tunnel addresses, and route to them");
      } else if (other.has_wifi() && interface.has_bridge()) {
        report_.Error(here, "conflict",
                      "an access point takes frames of the device alone; a wireless interface "
                      "cannot be a member of a bridge",
                      "use a wired interface");
      } else if (other.has_bridge() && interface.has_bond()) {
        report_.Error(here, "conflict", "a bridge cannot be a member of a bond",
                      "the other way round: a bond may be a member of a bridge");
      }
      if (interface.has_bridge()) CheckMtu(i, *member, "member");
    }
  }

  // What is on top cannot send larger packets than what is below.
  void CheckMtu(int top, int below, absl::string_view word) {
    const v1::Interface& upper = interfaces_.at(top);
    const v1::Interface& lower = interfaces_.at(below);
    if (!upper.has_mtu() || (!lower.has_mtu() && lower.kind_case() != v1::Interface::KIND_NOT_SET &&
                             !lower.has_wifi())) {
      return;  // a made one without an mtu takes that of what is below it
    }
    const int64_t limit = lower.has_mtu() ? lower.mtu() : kUsualMtu;
    if (upper.mtu() <= limit) return;
    report_.Error(
        Path(top, "mtu"), "out-of-range",
        absl::StrCat(upper.mtu(), " is more than its ", word, " `", lower.name(),
                     "` can send: ", limit),
        absl::StrCat("mtu: ", upper.mtu(), " on `", lower.name(), "` as well, or less here"));
  }

  void CheckMemberIsBare(int i) {
    const v1::Interface& interface = interfaces_.at(i);
    const std::string& owner = interfaces_.at(*owner_[i]).name();
    auto refuse = [&](bool present, absl::string_view field) {
      if (!present) return;
      report_.Error(Path(i, field), "conflict",
                    absl::StrCat("`", interface.name(), "` is a member of `", owner,
                                 "` and has no addresses of its own"),
                    absl::StrCat("move `", field, "` to `", owner, "`"));
    };
    refuse(interface.addresses_size() > 0, "addresses");
    refuse(interface.routes_size() > 0, "routes");
    refuse(interface.dhcp4(), "dhcp4");
    refuse(interface.dhcp6(), "dhcp6");
  }

  void CheckVlan(int i, const v1::Vlan& vlan) {
    const std::string path = Path(i, "vlan.link");
    const std::optional<int> link = Find(i, vlan.link(), path);
    if (!link) return;
    edges_.emplace(i, *link);
    const v1::Interface& lower = interfaces_.at(*link);
    if (lower.has_wireguard()) {
      report_.Error(path, "conflict", "a WireGuard tunnel has no VLANs",
                    "name an Ethernet interface");
    } else if (owner_[*link]) {
      const std::string& owner = interfaces_.at(*owner_[*link]).name();
      report_.Error(
          path, "conflict",
          absl::StrCat("`", vlan.link(), "` is a member of `", owner, "`, which takes its packets"),
          absl::StrCat("link: ", owner));
    }
    CheckMtu(i, *link, "link");
    if (!vlan.has_id()) return;
    auto [it, fresh] = vlans_.try_emplace({*link, vlan.id()}, interfaces_.paths[i]);
    if (fresh) return;
    report_.Error(
        Path(i, "vlan.id"), "conflict",
        absl::StrCat("VLAN ", vlan.id(), " of `", vlan.link(), "` is ", it->second, " already"),
        "keep one of the two; an interface may have several addresses");
  }

  void CheckBond(int i, const v1::Bond& bond) {
    CheckMembers(i, bond.members(), Path(i, "bond.members"));
    const std::string& mode = bond.mode().empty() ? "active-backup" : bond.mode();
    auto only = [&](bool present, absl::string_view field, std::vector<absl::string_view> modes) {
      if (!present) return;
      for (absl::string_view known : modes) {
        if (mode == known) return;
      }
      report_.Error(
          Path(i, absl::StrCat("bond.", field)), "conflict",
          absl::StrCat("has no meaning with mode ", mode),
          absl::StrCat("it is for ", absl::StrJoin(modes, ", "), "; remove it or set `mode`"));
    };
    only(bond.has_lacp_rate(), "lacpRate", {"802.3ad"});
    only(bond.has_xmit_hash(), "xmitHash", {"802.3ad", "balance-xor", "balance-tlb"});
    only(bond.has_primary(), "primary", {"active-backup", "balance-tlb", "balance-alb"});
    if (!bond.has_primary() || bond.members().empty()) return;
    for (const std::string& member : bond.members()) {
      if (member == bond.primary()) return;
    }
    report_.Error(Path(i, "bond.primary"), "unknown-interface",
                  absl::StrCat("`", bond.primary(), "` is no member of the bond"),
                  absl::StrCat("one of ", absl::StrJoin(bond.members(), ", ")));
  }

  void CheckBridge(int i, const v1::Bridge& bridge) {
    CheckMembers(i, bridge.members(), Path(i, "bridge.members"));
    if (bridge.vlans_size() > 0 && !bridge.vlan_filtering()) {
      report_.Error(Path(i, "bridge.vlans"), "conflict", "has no meaning without vlanFiltering",
                    "vlanFiltering: true, or remove it: without it all VLANs pass");
    }
    for (int k = 0; k < bridge.vlans_size(); ++k) {
      if (bridge.vlans(k) >= 1 && bridge.vlans(k) <= 4094) continue;
      report_.Error(schema::Element(Path(i, "bridge.vlans"), k), "out-of-range",
                    absl::StrCat(bridge.vlans(k), " is no VLAN; allowed: from 1 to 4094"));
    }
  }

  void CheckWifi(int i, const v1::Wifi& wifi) {
    if (wifi.psk().value_case() == v1::Secret::VALUE_NOT_SET) {
      report_.Warning(Path(i, "wifi"), "insecure",
                      "without psk the network is open: anybody near reads along",
                      "psk: the passphrase of the network");
    }
  }

  // Every circle once, at the interface that closes it.
  void CheckCycles() {
    std::vector<int> state(interfaces_.size(), 0);  // 0 new, 1 on the way, 2 done
    std::vector<int> way;
    for (int i = 0; i < interfaces_.size(); ++i) Visit(i, state, way);
  }
  void Visit(int i, std::vector<int>& state, std::vector<int>& way) {
    if (state[i] == 2) return;
    if (state[i] == 1) {
      std::string circle;
      auto it = way.begin();
      while (*it != i) ++it;
      for (; it != way.end(); ++it) absl::StrAppend(&circle, interfaces_.at(*it).name(), " -> ");
      report_.Error(interfaces_.paths[i], "cycle",
                    absl::StrCat("is on top of itself: ", circle, interfaces_.at(i).name()),
                    "take one of them out");
      return;
    }
    state[i] = 1;
    way.push_back(i);
    for (auto edge = edges_.lower_bound({i, 0}); edge != edges_.end() && edge->first == i; ++edge) {
      Visit(edge->second, state, way);
    }
    way.pop_back();
    state[i] = 2;
  }

  const Interfaces& interfaces_;
  Report& report_;
  std::map<std::string, std::string> selectors_;          // → path of the interface
  std::vector<std::optional<int>> owner_;                 // bond or bridge of each
  std::map<std::pair<int, int64_t>, std::string> vlans_;  // (link, id) → path
  std::set<std::pair<int, int>> edges_;                   // (on top, below)
};

}  // namespace

void CheckLinks(const Interfaces& interfaces, Report& report) {
  Checker(interfaces, report).Check();
}

}  // namespace basalt::validate
