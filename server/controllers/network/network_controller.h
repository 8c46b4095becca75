// The network controller: links, addresses, routes, DHCP, names, firewall and tunnels of a machine
// of its own. See README.md.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/clock.h"
#include "server/host/network.h"
#include "server/host/packet_filter.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"
#include "server/host/wireguard.h"

namespace basalt::network {

struct NetworkDeps {
  engine::Executor& executor;
  host::Vfs& vfs;
  host::Random& random;
  host::Supervisor& supervisor;
  host::Network& network;
  host::PacketFilter& filter;
  host::Wireguard& wireguard;
  // In the pool: the address of a name, 4 or 16 bytes; "" when there is none.
  std::function<std::string(const std::string&)> resolve;
  std::string dhcp_program;  // absolute path of dhcpcd
  std::string dhcp_hook;     // absolute path of noded-dhcp
};

class NetworkController : public engine::Controller {
 public:
  // A node without a config asks for addresses, so that somebody can bring it one. Does nothing
  // when an Execute has been asked for: that one knows better.
  virtual void Start() = 0;
  // The owner of the event pump calls it.
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
};

std::unique_ptr<NetworkController> MakeNetworkController(const NetworkDeps& deps);

}  // namespace basalt::network
