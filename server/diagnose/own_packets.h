// Is a packet of one TCP connection? For a capture that must not catch itself: what it sends would
// make it send more. Pure; packets are anybody's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace basalt::diagnose {

inline constexpr int kEthernet = 1;  // LINKTYPE_
inline constexpr int kBareIp = 101;

struct Peer {
  std::string ip;  // 4 or 16 bytes, network byte order
  uint16_t port = 0;
  // "192.168.1.7:51234", "[fd00::7]:51234"; a mapped IPv4 address is one of 4 bytes.
  static std::optional<Peer> Parse(absl::string_view text);
};

// To or from `peer`. Headers of extension and fragments other than the first are of nobody.
bool IsOf(const Peer& peer, int link_type, absl::string_view packet);

}  // namespace basalt::diagnose
