#include "server/controllers/network/tunnels.h"

#include <openssl/evp.h>

#include <memory>

#include "absl/strings/escaping.h"
#include "machineconfig/format/net.h"
#include "machineconfig/format/time.h"

namespace basalt::network {
namespace {

constexpr size_t kKey = 32;

}  // namespace

std::string NewKey(host::Random& random) {
  std::string key = random.Bytes(kKey);
  // RFC 7748, section 5: as wg(8) clamps it.
  key[0] = static_cast<char>(key[0] & 248);
  key[31] = static_cast<char>((key[31] & 127) | 64);
  return key;
}

std::string KeyBytes(const std::string& text) {
  std::string bytes;
  return absl::Base64Unescape(text, &bytes) && bytes.size() == kKey ? bytes : "";
}

std::string KeyText(const std::string& bytes) { return absl::Base64Escape(bytes); }

std::string PublicKeyOf(const std::string& private_key) {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr,
                                   reinterpret_cast<const unsigned char*>(private_key.data()),
                                   private_key.size()),
      EVP_PKEY_free);
  std::string out(kKey, '\0');
  size_t size = out.size();
  if (key == nullptr ||
      EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(out.data()), &size) !=
          1 ||
      size != kKey) {
    return "";
  }
  return out;
}

std::set<std::string> NamesOf(const v1::Wireguard& config) {
  std::set<std::string> names;
  for (const v1::WireguardPeer& peer : config.peers()) {
    const auto at = format::ParseHostPort(peer.endpoint());
    if (at.ok() && !format::ParseIp(at->host).ok()) names.insert(at->host);
  }
  return names;
}

host::Tunnel TunnelOf(const v1::Wireguard& config, const std::string& private_key,
                      const std::map<std::string, std::string>& resolved) {
  host::Tunnel tunnel{.private_key = private_key,
                      .listen_port = static_cast<uint16_t>(config.listen_port())};
  for (const v1::WireguardPeer& in : config.peers()) {
    host::TunnelPeer peer{.public_key = KeyBytes(in.public_key()),
                          .preshared_key = KeyBytes(in.preshared_key().plain())};
    if (const auto at = format::ParseHostPort(in.endpoint()); at.ok()) {
      const auto ip = format::ParseIp(at->host);
      const auto found = resolved.find(at->host);
      if (ip.ok()) {
        peer.endpoint = ip->bytes;
      } else if (found != resolved.end()) {
        peer.endpoint = found->second;
      }
      if (!peer.endpoint.empty()) peer.endpoint_port = at->port;
    }
    if (const auto keepalive = format::ParseDuration(in.keepalive()); keepalive.ok()) {
      peer.keepalive = static_cast<uint16_t>(absl::ToInt64Seconds(*keepalive));
    }
    for (const std::string& text : in.allowed_ips()) {
      if (auto cidr = format::ParseCidr(text); cidr.ok()) {
        peer.allowed.push_back({.ip = cidr->network.bytes, .prefix = cidr->prefix});
      }
    }
    tunnel.peers.push_back(std::move(peer));
  }
  return tunnel;
}

}  // namespace basalt::network
