#include "server/controllers/network/reconcile.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/controllers/network/mark.h"

namespace basalt::network {
namespace {

using Kind = Operation::Kind;

// A device, or what stands for one in a container.
bool MayBeDevice(const host::Link& link) {
  return link.ethernet && (link.kind.empty() || link.kind == "veth") && !ReadMark(link.alias).made;
}

std::vector<const host::Link*> Candidates(const LinkSpec& spec, const host::NetworkState& state) {
  std::vector<const host::Link*> out;
  for (const host::Link& link : state.links) {
    if (!MayBeDevice(link)) continue;
    const MatchSpec& match = spec.match;
    const bool fits = match.empty() ? OriginalName(link) == spec.name
                                    : (match.mac.empty() || OriginalMac(link) == match.mac) &&
                                          (match.driver.empty() || link.driver == match.driver) &&
                                          (match.path.empty() || link.path == match.path);
    if (fits) out.push_back(&link);
  }
  return out;
}

std::string Devices(const host::NetworkState& state) {
  std::vector<std::string> out;
  for (const host::Link& link : state.links) {
    if (!link.device) continue;
    out.push_back(absl::StrCat(link.name, " (mac ", OriginalMac(link),
                               link.driver.empty() ? "" : absl::StrCat(", driver ", link.driver),
                               link.path.empty() ? "" : absl::StrCat(", path ", link.path), ")"));
  }
  return out.empty() ? "this machine has no wired device"
                     : absl::StrCat("this machine has ", absl::StrJoin(out, ", "));
}

class Reconciler {
 public:
  Reconciler(const NetworkSpec& spec, const host::NetworkState& state)
      : spec_(spec), state_(state) {}

  Reconciliation Run() {
    for (const LinkSpec& link : spec_.links) {
      const host::Link* found = FindLink(link, state_);
      if (found != nullptr && !AsMade(link, *found)) {
        RemoveLink(*found, "make it anew");
        found = nullptr;
      }
      if (found != nullptr) {
        found_[link.name] = found;
        wanted_.insert(found->index);
      }
    }
    for (const host::Link& link : state_.links) {
      if (wanted_.count(link.index) == 0 && removed_.count(link.index) == 0) Undo(link);
    }
    for (const LinkSpec& link : spec_.links) {
      if (link.kind == "wifi") continue;
      if (const host::Link* found = Found(link.name)) {
        Change(link, *found);
        Addresses(*found, link.addresses, link.accept_ra == 0);
      } else {
        Make(link);
      }
    }
    Routes();
    Rules();
    return std::move(out_);
  }

 private:
  const host::Link* Found(const std::string& name) const {
    auto it = found_.find(name);
    return it == found_.end() ? nullptr : it->second;
  }

  Operation& Add(Kind kind, const host::Link* link, const std::string& text) {
    Operation operation{.kind = kind, .text = text};
    if (link != nullptr) operation.link = link->index;
    out_.operations.push_back(std::move(operation));
    return out_.operations.back();
  }

  void RemoveLink(const host::Link& link, const char* why) {
    removed_.insert(link.index);
    Add(Kind::kRemoveLink, &link, absl::StrCat(link.name, ": ", why));
  }

  // What cannot be changed once a link is made.
  bool AsMade(const LinkSpec& spec, const host::Link& link) const {
    if (spec.kind == "vlan") {
      const LinkSpec* below = nullptr;
      for (const LinkSpec& other : spec_.links) {
        if (other.name == spec.below) below = &other;
      }
      const host::Link* on = below == nullptr ? nullptr : FindLink(*below, state_);
      return link.vlan_id == spec.vlan_id && (on == nullptr || link.below == on->index);
    }
    return spec.kind != "bond" || link.bond.mode == spec.bond.mode;
  }

  void Make(const LinkSpec& spec) {
    if (spec.kind.empty()) return Missing(spec);
    if (const host::Link* there = state_.Find(spec.name)) {
      if (removed_.count(there->index) > 0) return;  // the next round makes it
      // The module `bonding` comes with a bond0 that nobody asked for and nobody uses.
      if (there->kind == spec.kind && !there->up && there->alias.empty()) {
        return RemoveLink(*there, "make it anew");
      }
      if (GiveWay(*there)) return;
      out_.problems.push_back(
          {.link = spec.name,
           .code = "name-taken",
           .message = absl::StrCat("a link `", spec.name, "` that noded did not make is there"),
           .remedy = "another name in network.interfaces"});
      return;
    }
    host::NewLink make{.name = spec.name,
                       .kind = spec.kind,
                       .alias = ToText({.ours = true, .made = true}),
                       .vlan_id = spec.vlan_id,
                       .bond = spec.bond,
                       .bridge = spec.bridge};
    if (spec.kind == "vlan") {
      const host::Link* below = Found(spec.below);
      if (below == nullptr) return;  // the next round, or its own problem
      make.below = below->index;
    }
    Add(Kind::kMake, nullptr, absl::StrCat(spec.name, ": make the ", spec.kind)).make = make;
  }

  void Missing(const LinkSpec& spec) {
    const size_t count = Candidates(spec, state_).size();
    Problem problem{.link = spec.name};
    if (count > 1) {
      problem.code = "ambiguous-device";
      problem.message = absl::StrCat(count, " devices are what `match` of ", spec.name, " says");
      problem.remedy = "say its mac or path as well";
    } else {
      problem.code = "no-such-device";
      problem.message = absl::StrCat("no device is ", spec.name,
                                     spec.match.empty() ? "" : " by what `match` says");
      problem.remedy = Devices(state_);
    }
    out_.problems.push_back(problem);
  }

  // A device that has a name that another one is to have: `match` says which one it is.
  bool GiveWay(const host::Link& link) {
    if (!MayBeDevice(link)) return false;
    if (!gave_way_.insert(link.index).second) return true;
    Mark mark = ReadMark(link.alias);
    if (mark.name.empty()) mark.name = link.name;
    mark.ours = true;
    const std::string aside = absl::StrCat("aside", link.index);
    Add(Kind::kChange, &link, absl::StrCat(link.name, ": gives its name to another device"))
        .change = {.down = true, .name = aside, .alias = ToText(mark), .up = true};
    return true;
  }

  void Change(const LinkSpec& spec, const host::Link& link) {
    if (gave_way_.count(link.index) > 0) return;  // the next round gives it its own name
    host::LinkChange change;
    std::vector<std::string> words;
    Mark mark = ReadMark(link.alias);
    if (spec.kind.empty() && !spec.as_found) {
      mark.ours = true;
      if (mark.name.empty()) mark.name = link.name;
    }
    if (link.name != spec.name) {
      const host::Link* holder = state_.Find(spec.name);
      if (holder != nullptr && removed_.count(holder->index) > 0) return;
      if (holder != nullptr) {
        if (!GiveWay(*holder)) {
          out_.problems.push_back({.link = spec.name,
                                   .code = "name-taken",
                                   .message = absl::StrCat("a link `", spec.name, "` is there"),
                                   .remedy = "another name in network.interfaces"});
        }
        return;
      }
      change.name = spec.name;
      words.push_back(absl::StrCat("call ", link.name, " so"));
    }
    Own(spec.mac, link.mac, mark.mac, change.mac, "MAC address", words);
    const int64_t no_mtu = 0;
    if (!spec.in_bond || spec.mtu) {
      Own(spec.mtu.value_or(no_mtu), link.mtu, mark.mtu, change.mtu, "MTU", words);
    }
    Master(spec, link, change, words);
    if (spec.as_found) mark = {};
    if (mark.ours ? ToText(mark) != link.alias : ReadMark(link.alias).ours) {
      change.alias = ToText(mark);
    }
    Options(spec, link, change, words);
    if (change.name || change.mac || (change.master && spec.in_bond)) {
      if (link.up) change.down = true;
    }
    if (!link.up || change.down) {
      change.up = true;
      if (!link.up) words.push_back("bring it up");
    }
    if (change != host::LinkChange{}) {
      if (words.empty()) words.push_back("mark it as the config's");
      Add(Kind::kChange, &link, absl::StrCat(spec.name, ": ", absl::StrJoin(words, ", "))).change =
          change;
    }
    if (link.master != 0 || spec.kind == "bridge") Vlans(spec, link);
  }

  // A value of the config, or the one from before: kept in the mark until it is its own again.
  template <typename T>
  static void Own(const T& wanted, const T& is, T& before, std::optional<T>& change,
                  const char* what, std::vector<std::string>& words) {
    const T none{};
    T to = wanted;
    if (wanted == none) {
      if (before == none) return;
      to = std::exchange(before, none);
    } else if (before == none && is != wanted) {
      before = is;
    }
    if (to == is) return;
    change = to;
    words.push_back(absl::StrCat(what, " ", to));
  }

  void Master(const LinkSpec& spec, const host::Link& link, host::LinkChange& change,
              std::vector<std::string>& words) {
    if (spec.master.empty()) {
      const host::Link* master = state_.Find(link.master);
      if (master == nullptr || removed_.count(link.master) > 0) return;
      if (spec.as_found && !ReadMark(master->alias).made) return;
      change.master = 0;
      words.push_back(absl::StrCat("take it out of ", master->name));
      return;
    }
    const host::Link* master = Found(spec.master);
    if (master == nullptr || link.master == master->index) return;
    change.master = master->index;
    words.push_back(absl::StrCat("make it a member of ", spec.master));
  }

  void Options(const LinkSpec& spec, const host::Link& link, host::LinkChange& change,
               std::vector<std::string>& words) {
    if (spec.kind == "bond") {
      host::BondOptions is = link.bond;
      if (spec.bond.mode != 4) is.lacp_fast = spec.bond.lacp_fast;
      if (is != spec.bond) {
        change.bond = spec.bond;
        words.push_back("set options of the bond");
      }
      const host::Link* primary = Found(spec.primary);
      if (primary != nullptr && primary->master == link.index && link.active != primary->index) {
        change.active = primary->index;
        words.push_back(absl::StrCat("prefer ", spec.primary));
      }
    }
    if (spec.kind == "bridge" && link.bridge != spec.bridge) {
      if (link.bridge.stp != spec.bridge.stp) change.stp = spec.bridge.stp;
      if (link.bridge.vlan_filtering != spec.bridge.vlan_filtering) {
        change.vlan_filtering = spec.bridge.vlan_filtering;
      }
      words.push_back("set options of the bridge");
    }
    if (link.accept_ra >= 0 && link.accept_ra != spec.accept_ra) {
      change.accept_ra = spec.accept_ra;
      words.push_back(spec.accept_ra == 0 ? "heed no router advertisements"
                                          : "heed router advertisements");
    }
  }

  void Vlans(const LinkSpec& spec, const host::Link& link) {
    const LinkSpec* bridge = nullptr;
    for (const LinkSpec& other : spec_.links) {
      if (other.kind == "bridge" &&
          other.name == (spec.kind == "bridge" ? spec.name : spec.master)) {
        bridge = &other;
      }
    }
    if (bridge == nullptr || !bridge->bridge.vlan_filtering) return;
    auto set = [&](int vlan, bool passes) {
      Operation& operation =
          Add(Kind::kBridgeVlan, &link,
              absl::StrCat(spec.name, ": VLAN ", vlan, passes ? " passes" : " no longer passes"));
      operation.vlan = vlan;
      operation.passes = passes;
    };
    for (int vlan : bridge->vlans) {
      if (link.vlans.count(vlan) == 0) set(vlan, true);
    }
    for (int vlan : link.vlans) {
      if (bridge->vlans.count(vlan) == 0) set(vlan, false);
    }
  }

  void Addresses(const host::Link& link, const std::vector<host::Address>& wanted, bool no_ra) {
    for (const host::Address& is : state_.addresses) {
      if (is.link != link.index) continue;
      const bool keep = std::any_of(wanted.begin(), wanted.end(), [&](const host::Address& want) {
        return want.ip == is.ip && want.prefix == is.prefix;
      });
      const bool ours = is.protocol == host::kOwnProtocol;
      if (keep || !(ours || (no_ra && is.protocol == host::kProtocolRa))) continue;
      Add(Kind::kRemoveAddress, &link,
          absl::StrCat(link.name, ": remove address ", Text(is.ip, is.prefix)))
          .address = is;
    }
    for (host::Address want : wanted) {
      want.link = link.index;
      const bool there = std::any_of(
          state_.addresses.begin(), state_.addresses.end(), [&](const host::Address& is) {
            return is.link == want.link && is.ip == want.ip && is.prefix == want.prefix &&
                   is.protocol == want.protocol && is.permanent;
          });
      if (there) continue;
      Add(Kind::kAddAddress, &link,
          absl::StrCat(link.name, ": add address ", Text(want.ip, want.prefix)))
          .address = want;
    }
  }

  // What the config no longer names.
  void Undo(const host::Link& link) {
    const Mark mark = ReadMark(link.alias);
    if (mark.made) return RemoveLink(link, "remove it");
    if (!mark.ours && !link.device) return;
    host::LinkChange change;
    std::vector<std::string> words;
    if (mark.ours) {
      change.alias = "";
      if (!mark.name.empty() && mark.name != link.name && state_.Find(mark.name) == nullptr) {
        change.name = mark.name;
        words.push_back(absl::StrCat("call it ", mark.name, " again"));
      } else if (!mark.name.empty() && mark.name != link.name) {
        // Another device has its name now: it keeps both until that one gives it back.
        change.alias.reset();
      }
      if (!mark.mac.empty() && mark.mac != link.mac) change.mac = mark.mac;
      if (mark.mtu != 0 && mark.mtu != link.mtu) change.mtu = mark.mtu;
      const host::Link* master = state_.Find(link.master);
      if (master != nullptr && ReadMark(master->alias).made) change.master = 0;
      if (change.name || change.mac) change.down = link.up;
      if (change.down.value_or(false)) change.up = true;
    }
    // "What is not named here stays without addresses."
    if (link.accept_ra > 0) {
      change.accept_ra = 0;
      words.push_back("heed no router advertisements");
    }
    if (change != host::LinkChange{}) {
      words.insert(words.begin(), "the config no longer names it");
      Add(Kind::kChange, &link, absl::StrCat(link.name, ": ", absl::StrJoin(words, ", "))).change =
          change;
    }
    Addresses(link, {}, /*no_ra=*/true);
  }

  void Routes() {
    std::vector<std::pair<const host::Link*, host::Route>> wanted;
    for (const LinkSpec& spec : spec_.links) {
      const host::Link* link = Found(spec.name);
      for (host::Route route : spec.routes) {
        if (link == nullptr) break;
        route.link = link->index;
        wanted.emplace_back(link, route);
      }
    }
    for (const host::Route& is : state_.routes) {
      if (is.protocol != host::kOwnProtocol || removed_.count(is.link) > 0) continue;
      const bool keep = std::any_of(wanted.begin(), wanted.end(),
                                    [&](const auto& want) { return want.second == is; });
      if (keep) continue;
      const host::Link* link = state_.Find(is.link);
      Add(Kind::kRemoveRoute, link,
          absl::StrCat(link == nullptr ? "?" : link->name, ": remove route ", Text(is)))
          .route = is;
    }
    for (const auto& [link, want] : wanted) {
      const host::Route& route = want;
      const bool there =
          std::any_of(state_.routes.begin(), state_.routes.end(), [&route](host::Route is) {
            is.protocol = host::kOwnProtocol;
            return is == route;
          });
      // One that is down loses them; the next round finds it up.
      if (there || !link->up) continue;
      Add(Kind::kAddRoute, link, absl::StrCat(link->name, ": add route ", Text(want))).route = want;
    }
  }

  void Rules() {
    auto has = [](const std::vector<host::Rule>& rules, const host::Rule& rule) {
      return std::find(rules.begin(), rules.end(), rule) != rules.end();
    };
    for (const host::Rule& is : state_.rules) {
      if (is.protocol != host::kOwnProtocol || has(spec_.rules, is)) continue;
      Add(Kind::kRemoveRule, nullptr, absl::StrCat("no longer: ", Text(is))).rule = is;
    }
    for (const host::Rule& want : spec_.rules) {
      if (has(state_.rules, want)) continue;
      Add(Kind::kAddRule, nullptr, Text(want)).rule = want;
    }
  }

  const NetworkSpec& spec_;
  const host::NetworkState& state_;
  Reconciliation out_;
  std::map<std::string, const host::Link*> found_;  // by the name of the spec
  std::set<int> wanted_, removed_, gave_way_;
};

}  // namespace

const host::Link* FindLink(const LinkSpec& spec, const host::NetworkState& state) {
  if (spec.kind.empty()) {
    const std::vector<const host::Link*> candidates = Candidates(spec, state);
    return candidates.size() == 1 ? candidates[0] : nullptr;
  }
  const host::Link* link = state.Find(spec.name);
  return link != nullptr && link->kind == spec.kind && ReadMark(link->alias).made ? link : nullptr;
}

Reconciliation Reconcile(const NetworkSpec& spec, const host::NetworkState& state) {
  return Reconciler(spec, state).Run();
}

}  // namespace basalt::network
