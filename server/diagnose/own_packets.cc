#include "server/diagnose/own_packets.h"

#include <arpa/inet.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace basalt::diagnose {
namespace {

constexpr size_t kEthernetHead = 14;
constexpr uint16_t kVlan = 0x8100, kIpv4 = 0x0800, kIpv6 = 0x86DD;
constexpr uint8_t kTcp = 6;

uint16_t Be16(absl::string_view at) {
  return static_cast<uint16_t>(static_cast<unsigned char>(at[0]) << 8 |
                               static_cast<unsigned char>(at[1]));
}

bool PortsMatch(const Peer& peer, bool from, bool to, absl::string_view tcp) {
  return tcp.size() >= 4 &&
         ((from && Be16(tcp) == peer.port) || (to && Be16(tcp.substr(2)) == peer.port));
}

}  // namespace

std::optional<Peer> Peer::Parse(absl::string_view text) {
  const size_t colon = text.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port) ||
      port < 1 || port > 65535) {
    return std::nullopt;
  }
  absl::string_view host = text.substr(0, colon);
  absl::ConsumePrefix(&host, "[");
  absl::ConsumeSuffix(&host, "]");
  const std::string ip(host.substr(0, host.find('%')));
  char bytes[16];
  Peer peer;
  peer.port = static_cast<uint16_t>(port);
  if (inet_pton(AF_INET, ip.c_str(), bytes) == 1) {
    peer.ip.assign(bytes, 4);
  } else if (inet_pton(AF_INET6, ip.c_str(), bytes) == 1) {
    const std::string mapped("\0\0\0\0\0\0\0\0\0\0\xFF\xFF", 12);
    peer.ip.assign(bytes, 16);
    if (absl::StartsWith(peer.ip, mapped)) peer.ip.erase(0, 12);
  } else {
    return std::nullopt;
  }
  return peer;
}

bool IsOf(const Peer& peer, int link_type, absl::string_view packet) {
  if (link_type == kEthernet) {
    if (packet.size() < kEthernetHead) return false;
    uint16_t type = Be16(packet.substr(12));
    packet.remove_prefix(kEthernetHead);
    if (type == kVlan && packet.size() >= 4) {
      type = Be16(packet.substr(2));
      packet.remove_prefix(4);
    }
    if (type != kIpv4 && type != kIpv6) return false;
  }
  if (packet.empty()) return false;
  const unsigned char first = static_cast<unsigned char>(packet[0]);
  if (first >> 4 == 4) {
    const size_t head = (first & 15u) * 4;
    if (head < 20 || packet.size() < head || peer.ip.size() != 4) return false;
    if (static_cast<unsigned char>(packet[9]) != kTcp || (Be16(packet.substr(6)) & 0x1FFF) != 0) {
      return false;
    }
    return PortsMatch(peer, packet.substr(12, 4) == peer.ip, packet.substr(16, 4) == peer.ip,
                      packet.substr(head));
  }
  if (first >> 4 != 6 || packet.size() < 40 || peer.ip.size() != 16) return false;
  if (static_cast<unsigned char>(packet[6]) != kTcp) return false;
  return PortsMatch(peer, packet.substr(8, 16) == peer.ip, packet.substr(24, 16) == peer.ip,
                    packet.substr(40));
}

}  // namespace basalt::diagnose
