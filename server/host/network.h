// The machine's network as a controller reasons about it: links, addresses, routes, rules. The real
// one speaks rtnetlink with the kernel of the network namespace that it is made in and decides
// nothing; the fake (tests/support/network) has memory and shares a conformance suite with it.
//
// What is made here carries a mark of ours in the kernel itself (an alias on links, a protocol
// number on addresses, routes and rules), so that a noded that starts anew knows its own from what
// K3s, pods or DHCP made, without a file that could be wrong about it.
//
// Calls are local round trips to the kernel, from one thread. Errors: NotFound (the link is gone),
// AlreadyExists, Unimplemented "kernel-cannot" (no module for it), InvalidArgument (the kernel
// refuses the values), Unavailable (everything else).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace basalt::host {

// Of addresses, routes and rules that a machine config asks for. Not in use by any daemon that
// iproute2 or the kernel knows.
inline constexpr int kOwnProtocol = 181;
inline constexpr int kProtocolRa = 2;  // IFAPROT_KERNEL_RA: an address that a router gave
inline constexpr uint32_t kMainTable = 254;

struct BondOptions {
  int mode = 1;  // of the kernel: 0 balance-rr, 1 active-backup, ... 4 802.3ad
  int miimon = 100;
  int lacp_fast = 0;
  int xmit_hash = 0;
  bool operator==(const BondOptions&) const = default;
};

struct BridgeOptions {
  bool stp = false;
  bool vlan_filtering = false;
  bool operator==(const BridgeOptions&) const = default;
};

struct Link {
  int index = 0;
  std::string name;
  std::string kind;  // as the kernel calls it: "vlan", "veth"; "" is a device
  std::string mac;   // "52:54:00:00:00:01"; "" for links without
  std::string permanent_mac;
  std::string alias;
  int64_t mtu = 0;
  bool up = false;
  bool carrier = false;
  bool ethernet = false;
  bool device = false;  // hardware, and no Wi-Fi
  int master = 0;       // the bond or bridge that it is a member of
  int below = 0;        // what a VLAN is on top of
  int vlan_id = 0;
  BondOptions bond;
  int active = 0;  // of a bond: the primary member
  BridgeOptions bridge;
  std::set<int> vlans;  // of a member of a bridge
  int accept_ra = -1;   // -1: it speaks no IPv6
  std::string driver;
  std::string path;  // where it is plugged in, as udev's ID_PATH
  bool operator==(const Link&) const = default;
};

// Addresses are network byte order, 4 or 16 bytes.
struct Address {
  int link = 0;
  std::string ip;
  int prefix = 0;
  int protocol = 0;
  bool permanent = true;  // of no lease
  bool no_dad = false;    // when it is added: may be used at once
  bool operator==(const Address&) const = default;
};

struct Route {
  std::string to;  // all zero for a default route
  int prefix = 0;
  std::string via;  // "" = on the link
  int link = 0;
  uint32_t metric = 0;
  uint32_t table = kMainTable;
  std::string source;
  bool on_link = false;
  int protocol = 0;
  bool v6() const { return to.size() == 16; }
  bool operator==(const Route&) const = default;
};

struct Rule {
  bool v6 = false;
  std::string from, to;  // "" = any
  int from_prefix = 0, to_prefix = 0;
  std::string link;  // packets that come in by it; "" = any
  uint32_t table = kMainTable;
  uint32_t priority = 0;
  int protocol = 0;
  bool operator==(const Rule&) const = default;
};

struct NetworkState {
  std::vector<Link> links;
  std::vector<Address> addresses;
  std::vector<Route> routes;  // unicast ones
  std::vector<Rule> rules;

  bool operator==(const NetworkState&) const = default;
  const Link* Find(const std::string& name) const;
  const Link* Find(int index) const;
};

// A link to make.
struct NewLink {
  std::string name;
  std::string kind;  // "vlan", "bond", "bridge", "wireguard"
  std::string alias;
  int below = 0;
  int vlan_id = 0;
  BondOptions bond;
  BridgeOptions bridge;
};

// What is to change; the rest stays. Applied in the order of the fields. Names and masters of bonds
// want a link that is down: said here, not guessed.
struct LinkChange {
  std::optional<bool> down;  // true: first of all
  std::optional<std::string> name;
  std::optional<std::string> alias;
  std::optional<std::string> mac;
  std::optional<int> master;  // 0: of none
  std::optional<int64_t> mtu;
  std::optional<BondOptions> bond;
  std::optional<int> active;           // of a bond
  std::optional<bool> stp;             // of a bridge
  std::optional<bool> vlan_filtering;  // of a bridge
  std::optional<int> accept_ra;
  std::optional<bool> up;  // true: last of all
  bool operator==(const LinkChange&) const = default;
};

class Network {
 public:
  virtual ~Network() = default;
  virtual absl::StatusOr<NetworkState> Observe() = 0;
  virtual absl::Status Make(const NewLink& link) = 0;
  virtual absl::Status Remove(int link) = 0;  // OK when it is gone
  virtual absl::Status Change(int link, const LinkChange& change) = 0;
  // Also takes over one that is there, of a lease say.
  virtual absl::Status Add(const Address& address) = 0;
  virtual absl::Status Remove(const Address& address) = 0;  // OK when it is gone
  virtual absl::Status Add(const Route& route) = 0;
  virtual absl::Status Remove(const Route& route) = 0;  // OK when it is gone
  virtual absl::Status Add(const Rule& rule) = 0;
  virtual absl::Status Remove(const Rule& rule) = 0;  // OK when it is gone
  virtual absl::Status SetBridgeVlan(int member, int vlan, bool passes) = 0;

  // Readable when something changed, whoever did it; -1: the fake, which calls nobody.
  virtual int event_fd() const = 0;
  virtual void DrainEvents() = 0;
};

// Of the network namespace of this thread. Unavailable when the kernel gives no socket.
absl::StatusOr<std::unique_ptr<Network>> OpenNetwork();

}  // namespace basalt::host
