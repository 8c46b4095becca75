// Answers of the kernel over netlink: names, aliases and addresses in them are of whoever made the
// link, pods among others. Whole buffers of messages, as recvmsg gives them; and marks of links.
// What is read must be within its bounds, and what is sent of it read back the same.
#include <libmnl/libmnl.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "server/controllers/network/mark.h"
#include "server/controllers/network/spec.h"
#include "server/host/filter_messages.h"
#include "server/host/route_messages.h"
#include "server/host/wireguard_messages.h"

namespace {

namespace host = basalt::host;

void Must(bool holds) {
  if (!holds) std::abort();
}

template <typename T>
void ReadBack(const std::optional<T>& value, std::string message,
              std::optional<T> (*read)(const nlmsghdr*)) {
  const std::optional<T> again = read(reinterpret_cast<const nlmsghdr*>(message.data()));
  Must(again.has_value() && again->prefix == value->prefix && again->link == value->link);
}

void Message(const nlmsghdr* message) {
  if (const auto link = host::ReadLink(message)) {
    Must(!link->name.empty() && link->index > 0);
    const basalt::network::Mark mark = basalt::network::ReadMark(link->alias);
    Must(basalt::network::ReadMark(basalt::network::ToText(mark)) == mark);
    Must(host::MacBytes(link->mac).size() == (link->mac.empty() ? 0 : 6));
  }
  if (const auto vlans = host::ReadBridgeVlans(message)) {
    for (int vlan : vlans->second) Must(vlan >= 0 && vlan <= 4094);
  }
  if (const auto address = host::ReadAddress(message)) {
    basalt::network::Text(address->ip, address->prefix);
    ReadBack(address, host::AddressMessage(*address, true), &host::ReadAddress);
  }
  if (const auto route = host::ReadRoute(message)) {
    basalt::network::Text(*route);
    ReadBack(route, host::RouteMessage(*route, true), &host::ReadRoute);
  }
  if (const auto rule = host::ReadRule(message)) {
    basalt::network::Text(*rule);
    const std::string sent = host::RuleMessage(*rule, true);
    Must(host::ReadRule(reinterpret_cast<const nlmsghdr*>(sent.data())).has_value());
  }
}

void Tunnel(const nlmsghdr* message) {
  host::Tunnel tunnel;
  host::ReadTunnel(message, &tunnel);
  for (const host::TunnelPeer& peer : tunnel.peers) {
    Must(peer.public_key.size() == 32);
    for (const host::TunnelNetwork& network : peer.allowed) {
      Must(network.prefix <= static_cast<int>(network.ip.size() * 8));
    }
  }
  host::ReadWireguardFamily(message);
  host::ReadFilterTable(message);
  host::IsFilterRule(message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // Aligned, as a buffer of recvmsg is.
  std::vector<uint32_t> buffer((size + 3) / 4);
  memcpy(buffer.data(), data, size);
  int left = static_cast<int>(size);
  // libmnl takes lengths beyond 2 GiB for negative ones, and so for short: the kernel sends none.
  for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data());
       mnl_nlmsg_ok(message, left) && message->nlmsg_len <= static_cast<uint32_t>(left);
       message = mnl_nlmsg_next(message, &left)) {
    Message(message);
    Tunnel(message);
  }
  return 0;
}
