// WireGuard's messages. A kernel with it is in no test run: what is sent is compared with the bytes
// that linux/wireguard.h and wg(8) put on the wire, and read back, as a dump has the same shape.
#include "server/host/wireguard_messages.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>

#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace basalt::host {
namespace {

constexpr uint16_t kFamily = 0x1f;

const nlmsghdr* Header(const std::string& message) {
  return reinterpret_cast<const nlmsghdr*>(message.data());
}

Tunnel Example() {
  return {.private_key = std::string(32, 'k'),
          .listen_port = 51900,
          .peers = {{.public_key = std::string(32, 'a'),
                     .preshared_key = std::string(32, 's'),
                     .endpoint = std::string("\xc0\x00\x02\x01", 4),
                     .endpoint_port = 51820,
                     .keepalive = 25,
                     .allowed = {{.ip = std::string("\x0a\x08\x00\x02", 4), .prefix = 32},
                                 {.ip = std::string(16, '\0'), .prefix = 0}}},
                    {.public_key = std::string(32, 'b'),
                     .allowed = {{.ip = std::string("\x0a\x09\x00\x00", 4), .prefix = 16}}}}};
}

Tunnel ReadAll(const std::vector<std::string>& messages) {
  Tunnel tunnel;
  for (const std::string& message : messages) ReadTunnel(Header(message), &tunnel);
  return tunnel;
}

TEST(WireguardMessages, WhatIsSentReadsBackAsTheTunnel) {
  const std::vector<std::string> messages = TunnelMessages(kFamily, "wg0", {}, Example());
  EXPECT_EQ(messages.size(), 3u) << "the device, and each peer";
  EXPECT_EQ(ReadAll(messages), Example());
}

TEST(WireguardMessages, ATunnelThatIsAsWantedIsLeftAlone) {
  EXPECT_TRUE(TunnelMessages(kFamily, "wg0", Example(), Example()).empty());
  Tunnel moved = Example();
  moved.peers[0].endpoint = std::string("\xc6\x33\x64\x07", 4);
  std::swap(moved.peers[0].allowed[0], moved.peers[0].allowed[1]);
  EXPECT_TRUE(TunnelMessages(kFamily, "wg0", moved, Example()).empty())
      << "a peer that called from elsewhere is answered there";
  Tunnel any = Example();
  any.listen_port = 0;
  EXPECT_TRUE(TunnelMessages(kFamily, "wg0", Example(), any).empty());
}

TEST(WireguardMessages, OnlyWhatDiffersIsSent) {
  Tunnel wanted = Example();
  wanted.peers[0].allowed.pop_back();
  wanted.peers.pop_back();
  const std::vector<std::string> messages = TunnelMessages(kFamily, "wg0", Example(), wanted);
  ASSERT_EQ(messages.size(), 2u);
  const Tunnel first = ReadAll({messages[0]}), second = ReadAll({messages[1]});
  EXPECT_EQ(first.peers[0].public_key, std::string(32, 'b'));
  EXPECT_TRUE(first.private_key.empty());
  EXPECT_EQ(second.peers[0].allowed, wanted.peers[0].allowed);
  EXPECT_EQ(second.peers[0].endpoint, "") << "it has one";
}

TEST(WireguardMessages, TheBytesAreThoseOfTheKernelsHeader) {
  const std::vector<std::string> messages = TunnelMessages(
      kFamily, "wg0", Example(),
      {.private_key = Example().private_key,
       .listen_port = 51900,
       .peers = {Example().peers[0],
                 {.public_key = std::string(32, 'b'),
                  .allowed = {{.ip = std::string("\x0a\x09\x00\x00", 4), .prefix = 24}}}}});
  ASSERT_EQ(messages.size(), 1u);
  const std::string b(64, '6'), zero(64, '0');
  std::string key;
  for (int i = 0; i < 32; ++i) key += "62";
  EXPECT_EQ(absl::BytesToHexString(messages[0]),
            absl::StrCat("9c000000"
                         "1f00"
                         "0000"
                         "00000000"
                         "00000000"  // nlmsghdr
                         "01010000"  // SET_DEVICE, version 1
                         "0800"
                         "0200"
                         "77673000"  // IFNAME wg0
                         "8000"
                         "0880"
                         "7c00"
                         "0080"  // PEERS, the first
                         "2400"
                         "0100",
                         key,  // PUBLIC_KEY
                         "0800"
                         "0300"
                         "02000000"  // REPLACE_ALLOWEDIPS
                         "2400"
                         "0200",
                         zero,  // PRESHARED_KEY
                         "0600"
                         "0500"
                         "00000000"  // KEEPALIVE
                         "2000"
                         "0980"
                         "1c00"
                         "0080"  // ALLOWEDIPS, the first
                         "0600"
                         "0100"
                         "02000000"  // FAMILY AF_INET
                         "0800"
                         "0200"
                         "0a090000"  // IPADDR
                         "0500"
                         "0300"
                         "18000000"));  // CIDR_MASK 24
}

TEST(WireguardMessages, WhatIsCutOffReadsAsNothing) {
  for (std::string message : TunnelMessages(kFamily, "wg0", {}, Example())) {
    for (uint32_t size = NLMSG_HDRLEN; size < message.size(); ++size) {
      std::string cut = message.substr(0, size);
      memcpy(cut.data(), &size, sizeof size);
      Tunnel tunnel;
      ReadTunnel(Header(cut), &tunnel);
      ReadWireguardFamily(Header(cut));
    }
  }
}

}  // namespace
}  // namespace basalt::host
