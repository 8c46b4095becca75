#include "server/host/wireguard_messages.h"

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>

#include "server/host/netlink_message.h"

namespace basalt::host {
namespace {

constexpr size_t kKey = WG_KEY_LEN;

NetlinkMessage Message(uint16_t family, uint16_t flags, uint8_t command, uint8_t version) {
  NetlinkMessage message(family, flags);
  auto* header = message.Extra<genlmsghdr>();
  header->cmd = command;
  header->version = version;
  return message;
}

std::string EndpointBytes(const TunnelPeer& peer) {
  if (peer.endpoint.size() == 4) {
    sockaddr_in at{.sin_family = AF_INET, .sin_port = htons(peer.endpoint_port)};
    memcpy(&at.sin_addr, peer.endpoint.data(), 4);
    return std::string(reinterpret_cast<const char*>(&at), sizeof at);
  }
  sockaddr_in6 at{.sin6_family = AF_INET6, .sin6_port = htons(peer.endpoint_port)};
  memcpy(&at.sin6_addr, peer.endpoint.data(), std::min<size_t>(16, peer.endpoint.size()));
  return std::string(reinterpret_cast<const char*>(&at), sizeof at);
}

void ReadEndpoint(const std::string& bytes, TunnelPeer& peer) {
  if (bytes.size() == sizeof(sockaddr_in)) {
    sockaddr_in at;
    memcpy(&at, bytes.data(), sizeof at);
    if (at.sin_family != AF_INET) return;
    peer.endpoint.assign(reinterpret_cast<const char*>(&at.sin_addr), 4);
    peer.endpoint_port = ntohs(at.sin_port);
  } else if (bytes.size() == sizeof(sockaddr_in6)) {
    sockaddr_in6 at;
    memcpy(&at, bytes.data(), sizeof at);
    if (at.sin6_family != AF_INET6) return;
    peer.endpoint.assign(reinterpret_cast<const char*>(&at.sin6_addr), 16);
    peer.endpoint_port = ntohs(at.sin6_port);
  }
}

void PutPeer(NetlinkMessage& message, const TunnelPeer& peer, uint32_t flags, bool endpoint) {
  nlattr* peers = message.Begin(WGDEVICE_A_PEERS);
  nlattr* one = message.Begin(0);
  message.Bytes(WGPEER_A_PUBLIC_KEY, peer.public_key);
  message.U32(WGPEER_A_FLAGS, flags);
  if ((flags & WGPEER_F_REMOVE_ME) == 0) {
    message.Bytes(WGPEER_A_PRESHARED_KEY,
                  peer.preshared_key.empty() ? std::string(kKey, '\0') : peer.preshared_key);
    if (endpoint) message.Bytes(WGPEER_A_ENDPOINT, EndpointBytes(peer));
    message.U16(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, peer.keepalive);
    nlattr* allowed = message.Begin(WGPEER_A_ALLOWEDIPS);
    for (const TunnelNetwork& network : peer.allowed) {
      nlattr* entry = message.Begin(0);
      message.U16(WGALLOWEDIP_A_FAMILY, network.ip.size() == 16 ? AF_INET6 : AF_INET);
      message.Bytes(WGALLOWEDIP_A_IPADDR, network.ip);
      message.U8(WGALLOWEDIP_A_CIDR_MASK, static_cast<uint8_t>(network.prefix));
      message.End(entry);
    }
    message.End(allowed);
  }
  message.End(one);
  message.End(peers);
}

template <typename Function>
void EachNested(const nlattr* nest, Function function) {
  if (nest == nullptr) return;
  int left = mnl_attr_get_payload_len(nest);
  for (auto* each = static_cast<const nlattr*>(mnl_attr_get_payload(nest)); mnl_attr_ok(each, left);
       left -= MNL_ALIGN(each->nla_len), each = mnl_attr_next(each)) {
    function(each);
  }
}

TunnelPeer ReadPeer(const nlattr* nest) {
  Attributes<WGPEER_A_MAX + 1> attributes;
  attributes.ParseNested(nest);
  TunnelPeer peer;
  peer.public_key = attributes.Bytes(WGPEER_A_PUBLIC_KEY);
  peer.preshared_key = attributes.Bytes(WGPEER_A_PRESHARED_KEY);
  if (peer.preshared_key == std::string(kKey, '\0')) peer.preshared_key.clear();
  ReadEndpoint(attributes.Bytes(WGPEER_A_ENDPOINT), peer);
  peer.keepalive = attributes.Number<uint16_t>(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL);
  EachNested(attributes.Get(WGPEER_A_ALLOWEDIPS), [&peer](const nlattr* entry) {
    Attributes<WGALLOWEDIP_A_MAX + 1> allowed;
    allowed.ParseNested(entry);
    TunnelNetwork network{.ip = allowed.Bytes(WGALLOWEDIP_A_IPADDR),
                          .prefix = allowed.Number<uint8_t>(WGALLOWEDIP_A_CIDR_MASK)};
    if ((network.ip.size() == 4 || network.ip.size() == 16) &&
        network.prefix <= static_cast<int>(network.ip.size() * 8)) {
      peer.allowed.push_back(std::move(network));
    }
  });
  return peer;
}

// The same but for the endpoint, in whatever order.
bool Same(TunnelPeer a, TunnelPeer b) {
  for (TunnelPeer* peer : {&a, &b}) {
    peer->endpoint.clear();
    peer->endpoint_port = 0;
    std::sort(peer->allowed.begin(), peer->allowed.end());
  }
  return a == b;
}

}  // namespace

std::string GetWireguardFamily() {
  NetlinkMessage message = Message(GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, 1);
  message.Text(CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
  return message.Take();
}

uint16_t ReadWireguardFamily(const nlmsghdr* message) {
  if (message->nlmsg_type != GENL_ID_CTRL) return 0;
  const auto attributes = Attributes<CTRL_ATTR_MAX + 1>::Of(message, sizeof(genlmsghdr));
  return attributes.Text(CTRL_ATTR_FAMILY_NAME) == WG_GENL_NAME
             ? attributes.Number<uint16_t>(CTRL_ATTR_FAMILY_ID)
             : 0;
}

std::string GetTunnel(uint16_t family, const std::string& link) {
  NetlinkMessage message = Message(family, NLM_F_DUMP, WG_CMD_GET_DEVICE, WG_GENL_VERSION);
  message.Text(WGDEVICE_A_IFNAME, link);
  return message.Take();
}

void ReadTunnel(const nlmsghdr* message, Tunnel* tunnel) {
  const auto attributes = Attributes<WGDEVICE_A_MAX + 1>::Of(message, sizeof(genlmsghdr));
  if (attributes.Has(WGDEVICE_A_PRIVATE_KEY)) {
    tunnel->private_key = attributes.Bytes(WGDEVICE_A_PRIVATE_KEY);
  }
  if (attributes.Has(WGDEVICE_A_LISTEN_PORT)) {
    tunnel->listen_port = attributes.Number<uint16_t>(WGDEVICE_A_LISTEN_PORT);
  }
  EachNested(attributes.Get(WGDEVICE_A_PEERS), [tunnel](const nlattr* nest) {
    TunnelPeer peer = ReadPeer(nest);
    if (peer.public_key.size() != kKey) return;
    // A peer with many networks goes on in the next message.
    if (!tunnel->peers.empty() && tunnel->peers.back().public_key == peer.public_key) {
      auto& allowed = tunnel->peers.back().allowed;
      allowed.insert(allowed.end(), peer.allowed.begin(), peer.allowed.end());
    } else {
      tunnel->peers.push_back(std::move(peer));
    }
  });
}

std::vector<std::string> TunnelMessages(uint16_t family, const std::string& link, const Tunnel& is,
                                        const Tunnel& wanted) {
  std::vector<std::string> out;
  auto begin = [&] {
    NetlinkMessage message = Message(family, 0, WG_CMD_SET_DEVICE, WG_GENL_VERSION);
    message.Text(WGDEVICE_A_IFNAME, link);
    return message;
  };
  // 0 is any port: whichever the kernel took then is right.
  const bool port = wanted.listen_port != 0 && is.listen_port != wanted.listen_port;
  if (is.private_key != wanted.private_key || port) {
    NetlinkMessage message = begin();
    message.Bytes(WGDEVICE_A_PRIVATE_KEY, wanted.private_key);
    if (port) message.U16(WGDEVICE_A_LISTEN_PORT, wanted.listen_port);
    out.push_back(message.Take());
  }
  std::map<std::string, const TunnelPeer*> stay;
  for (const TunnelPeer& peer : wanted.peers) stay[peer.public_key] = &peer;
  std::map<std::string, const TunnelPeer*> there;
  for (const TunnelPeer& peer : is.peers) {
    there[peer.public_key] = &peer;
    if (stay.count(peer.public_key) > 0) continue;
    NetlinkMessage message = begin();
    PutPeer(message, peer, WGPEER_F_REMOVE_ME, false);
    out.push_back(message.Take());
  }
  for (const TunnelPeer& peer : wanted.peers) {
    auto it = there.find(peer.public_key);
    const bool endpoint =
        !peer.endpoint.empty() && (it == there.end() || it->second->endpoint.empty());
    if (it != there.end() && Same(*it->second, peer) && !endpoint) continue;
    NetlinkMessage message = begin();
    PutPeer(message, peer, WGPEER_F_REPLACE_ALLOWEDIPS, endpoint);
    out.push_back(message.Take());
  }
  return out;
}

}  // namespace basalt::host
