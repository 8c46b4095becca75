// A capture as others read it, without what it makes itself.
#include <gtest/gtest.h>

#include "server/diagnose/own_packets.h"
#include "server/diagnose/pcapng.h"

namespace basalt::diagnose {
namespace {

std::string Tcp4(const std::string& from, uint16_t from_port, const std::string& to,
                 uint16_t to_port) {
  std::string ip(20, '\0');
  ip[0] = 0x45;
  ip[9] = 6;
  ip.replace(12, 4, from);
  ip.replace(16, 4, to);
  for (uint16_t port : {from_port, to_port}) {
    ip.push_back(static_cast<char>(port >> 8));
    ip.push_back(static_cast<char>(port));
  }
  return ip + std::string(16, '\0');
}
const std::string kPeer("\xC0\xA8\x01\x07", 4), kNode("\xC0\xA8\x01\x01", 4);

std::string Ethernet(const std::string& ip, const std::string& type = std::string("\x08\x00", 2)) {
  return std::string(12, '\x02') + type + ip;
}

TEST(OwnPackets, AreThoseOfTheCallersConnectionInBothDirections) {
  const Peer peer = *Peer::Parse("192.168.1.7:51234");
  EXPECT_TRUE(IsOf(peer, kEthernet, Ethernet(Tcp4(kPeer, 51234, kNode, 6050))));
  EXPECT_TRUE(IsOf(peer, kEthernet, Ethernet(Tcp4(kNode, 6050, kPeer, 51234))));
  EXPECT_TRUE(IsOf(peer, kBareIp, Tcp4(kNode, 6050, kPeer, 51234)));
  EXPECT_TRUE(IsOf(peer, kEthernet,
                   Ethernet(std::string("\x00\x05\x08\x00", 4) + Tcp4(kNode, 6050, kPeer, 51234),
                            std::string("\x81\x00", 2))));
  EXPECT_FALSE(IsOf(peer, kEthernet, Ethernet(Tcp4(kPeer, 51235, kNode, 6050))));
  EXPECT_FALSE(IsOf(peer, kEthernet, Ethernet(Tcp4(kNode, 51234, kNode, 6050))));
  std::string udp = Tcp4(kPeer, 51234, kNode, 6050);
  udp[9] = 17;
  EXPECT_FALSE(IsOf(peer, kEthernet, Ethernet(udp)));
  std::string fragment = Tcp4(kPeer, 51234, kNode, 6050);
  fragment[7] = 9;
  EXPECT_FALSE(IsOf(peer, kEthernet, Ethernet(fragment)));
}

TEST(OwnPackets, OfIpv6Too) {
  const Peer peer = *Peer::Parse("[fd00::7]:51234");
  std::string ip(40, '\0');
  ip[0] = 0x60;
  ip[6] = 6;
  ip[8] = '\xFD';
  ip[23] = 7;
  const std::string packet = ip + std::string("\xC8\x22\x17\xA2", 4) + std::string(16, '\0');
  EXPECT_TRUE(IsOf(peer, kEthernet, Ethernet(packet, std::string("\x86\xDD", 2))));
  EXPECT_FALSE(IsOf(*Peer::Parse("[fd00::8]:51234"), kBareIp, packet));
}

TEST(OwnPackets, WhatIsCutOffIsNobodys) {
  const Peer peer = *Peer::Parse("192.168.1.7:51234");
  const std::string packet = Ethernet(Tcp4(kPeer, 51234, kNode, 6050));
  for (size_t size = 0; size < 14 + 20 + 4; ++size) {
    EXPECT_FALSE(IsOf(peer, kEthernet, packet.substr(0, size))) << size;
  }
}

TEST(Peer, IsReadAsGrpcWritesIt) {
  EXPECT_EQ(Peer::Parse("[::ffff:192.168.1.7]:51234")->ip, kPeer);
  for (const char* text : {"", "x:1", "192.168.1.7", "192.168.1.7:0", "192.168.1.7:99999"}) {
    EXPECT_FALSE(Peer::Parse(text)) << text;
  }
}

TEST(Pcapng, BlocksAreAlignedAndSayTheirLengthTwice) {
  const std::string file = PcapngHead("eth0", kEthernet, 262144) +
                           PcapngPacket(1795500000123456789, 100, "abcde") +
                           PcapngStatistics(1795500000123456789, 2, 1);
  size_t at = 0;
  int blocks = 0;
  auto u32 = [&file](size_t i) {
    uint32_t value = 0;
    for (int k = 3; k >= 0; --k) value = value << 8 | static_cast<unsigned char>(file[i + k]);
    return value;
  };
  while (at < file.size()) {
    const uint32_t size = u32(at + 4);
    ASSERT_EQ(size % 4, 0u);
    ASSERT_LE(at + size, file.size());
    EXPECT_EQ(u32(at + size - 4), size);
    at += size;
    ++blocks;
  }
  EXPECT_EQ(blocks, 4);
}

}  // namespace
}  // namespace basalt::diagnose
