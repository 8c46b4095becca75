// What has to be done so that the kernel's network is as the config says, and nothing more. Pure:
// two values in, an ordered list out. What it cannot say yet, because a link is not there, the next
// round says: Converge (converge.h) goes on until nothing is left.
//
// Never touched: links, addresses, routes and rules that bear no mark of ours, but for those of a
// device that the config names (its name, MTU, MAC address, membership, router advertisements).
#pragma once

#include <string>
#include <vector>

#include "server/controllers/network/spec.h"

namespace basalt::network {

struct Operation {
  enum class Kind {
    kMake,
    kRemoveLink,
    kChange,
    kAddAddress,
    kRemoveAddress,
    kAddRoute,
    kRemoveRoute,
    kAddRule,
    kRemoveRule,
    kBridgeVlan
  };
  Kind kind = Kind::kMake;
  std::string text;  // for a person: "eth0: add address 10.0.0.1/24"
  int link = 0;
  host::NewLink make;
  host::LinkChange change;
  host::Address address;
  host::Route route;
  host::Rule rule;
  int vlan = 0;
  bool passes = false;
};

// What the machine cannot do although the kernel might: a link that is not there.
struct Problem {
  std::string link;
  std::string code;  // "no-such-device", "ambiguous-device", "name-taken"
  std::string message;
  std::string remedy;
  bool operator==(const Problem&) const = default;
};

struct Reconciliation {
  std::vector<Operation> operations;
  std::vector<Problem> problems;
};

// `spec` is that of ForDevices.
Reconciliation Reconcile(const NetworkSpec& spec, const host::NetworkState& state);

// The link that the spec is about; null when it is not there, or not one.
const host::Link* FindLink(const LinkSpec& spec, const host::NetworkState& state);

}  // namespace basalt::network
