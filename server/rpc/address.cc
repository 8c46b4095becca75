#include "server/rpc/address.h"

#include <arpa/inet.h>

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"

namespace basalt::rpc {
namespace {

using Bytes16 = std::array<uint8_t, 16>;

Bytes16 Mapped(const in_addr& v4) {
  Bytes16 out{};
  out[10] = out[11] = 0xff;
  std::memcpy(&out[12], &v4, 4);
  return out;
}

Bytes16 BytesOf(const SocketAddress& address) {
  if (address.family() == AF_INET) {
    return Mapped(reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr);
  }
  Bytes16 out{};
  std::memcpy(out.data(), &reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr, 16);
  return out;
}

bool IsMapped(const Bytes16& bytes) {
  static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(bytes.data(), kPrefix, sizeof(kPrefix)) == 0;
}

std::string HostText(const Bytes16& bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  if (IsMapped(bytes)) {
    inet_ntop(AF_INET, &bytes[12], text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, bytes.data(), text, sizeof(text));
  }
  return text;
}

}  // namespace

uint16_t SocketAddress::port() const {
  // sin_port and sin6_port lie at the same offset, in the same order of bytes.
  return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

std::string SocketAddress::ToString() const {
  if (family() != AF_INET && family() != AF_INET6) return "unknown";
  Bytes16 bytes = BytesOf(*this);
  return IsMapped(bytes) ? absl::StrCat(HostText(bytes), ":", port())
                         : absl::StrCat("[", HostText(bytes), "]:", port());
}

absl::StatusOr<SocketAddress> ParseListenAddress(absl::string_view text) {
  auto bad = [&] {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-address",
                      absl::StrCat("\"", text, "\" is no address to listen on"),
                      "write 192.0.2.7:6050, [2001:db8::7]:6050 or :6050 for every address");
  };
  size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return bad();
  int port = 0;
  absl::string_view port_text = text.substr(colon + 1);
  if (port_text.empty() || port_text.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(port_text, &port) || port > 65535) {
    return bad();
  }
  std::string host(text.substr(0, colon));
  SocketAddress out;
  if (host.empty()) host = "[::]";
  if (host.front() == '[' && host.back() == ']') {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(static_cast<uint16_t>(port));
    if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6.sin6_addr) != 1) {
      return bad();
    }
    out.size = sizeof(v6);
    return out;
  }
  auto& v4 = reinterpret_cast<sockaddr_in&>(out.storage);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1) return bad();
  out.size = sizeof(v4);
  return out;
}

std::string NormalizePeer(absl::string_view grpc_peer) {
  if (!absl::ConsumePrefix(&grpc_peer, "ipv6:") && !absl::ConsumePrefix(&grpc_peer, "ipv4:")) {
    return std::string(grpc_peer);
  }
  std::string text = absl::StrReplaceAll(
      grpc_peer, {{"%5B", "["}, {"%5b", "["}, {"%5D", "]"}, {"%5d", "]"}, {"%25", "%"}});
  // A scope ("%eth0") is the node's own name for an interface, no part of the peer.
  size_t scope = text.find('%');
  size_t end = text.find(']');
  if (scope != std::string::npos && end != std::string::npos && scope < end) {
    text.erase(scope, end - scope);
  }
  return text;
}

std::string SourceOf(const SocketAddress& address) {
  Bytes16 bytes = BytesOf(address);
  if (IsMapped(bytes)) return HostText(bytes);
  std::memset(&bytes[8], 0, 8);
  return absl::StrCat(HostText(bytes), "/64");
}

absl::StatusOr<Network> Network::Parse(absl::string_view text) {
  auto bad = [&] {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-network",
                      absl::StrCat("\"", text, "\" is no network"),
                      "write 192.0.2.0/24 or 2001:db8::/32");
  };
  size_t slash = text.find('/');
  std::string host(text.substr(0, slash));
  Network out;
  in_addr v4{};
  int bits = 128;
  int offset = 0;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    out.bytes_ = Mapped(v4);
    bits = 32;
    offset = 96;
  } else if (inet_pton(AF_INET6, host.c_str(), out.bytes_.data()) != 1) {
    return bad();
  }
  int prefix = bits;
  if (slash != absl::string_view::npos &&
      (!absl::SimpleAtoi(text.substr(slash + 1), &prefix) || prefix < 0 || prefix > bits)) {
    return bad();
  }
  out.prefix_ = offset + prefix;
  return out;
}

bool Network::Contains(const SocketAddress& address) const {
  Bytes16 bytes = BytesOf(address);
  int whole = prefix_ / 8;
  if (std::memcmp(bytes.data(), bytes_.data(), whole) != 0) return false;
  int rest = prefix_ % 8;
  if (rest == 0) return true;
  uint8_t mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (bytes[whole] & mask) == (bytes_[whole] & mask);
}

bool Allowed(const std::vector<Network>& networks, const SocketAddress& address) {
  if (networks.empty()) return true;
  for (const Network& network : networks) {
    if (network.Contains(address)) return true;
  }
  return false;
}

}  // namespace basalt::rpc
