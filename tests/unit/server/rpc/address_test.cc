#include "server/rpc/address.h"

#include <gtest/gtest.h>

namespace basalt::rpc {
namespace {

SocketAddress At(const char* text) { return *ParseListenAddress(text); }

TEST(Address, ListenTextsAreReadAndOthersRefused) {
  EXPECT_EQ(At("127.0.0.1:6050").ToString(), "127.0.0.1:6050");
  EXPECT_EQ(At("[fd00::1]:0").ToString(), "[fd00::1]:0");
  EXPECT_EQ(At(":6050").family(), AF_INET6);
  for (const char* bad : {"", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1",
                          "1.2.3.4: 1", "localhost:1", "fd00::1:1", "[fd00::1:1", "1.2.3:1"}) {
    EXPECT_FALSE(ParseListenAddress(bad).ok()) << bad;
  }
}

TEST(Address, GrpcsPeerNamesEqualOurs) {
  EXPECT_EQ(NormalizePeer("ipv4:127.0.0.1:40000"), "127.0.0.1:40000");
  EXPECT_EQ(NormalizePeer("ipv6:%5B::1%5D:40000"), At("[::1]:40000").ToString());
  EXPECT_EQ(NormalizePeer("ipv6:%5Bfe80::1%25eth0%5D:1"), "[fe80::1]:1");
  EXPECT_EQ(At("[::ffff:10.0.0.1]:5").ToString(), "10.0.0.1:5");
  EXPECT_EQ(NormalizePeer("unix:"), "unix:");
}

TEST(Address, SourcesAreOneIpv4AddressOrOneIpv6Subnet) {
  EXPECT_NE(SourceOf(At("127.0.0.1:1")), SourceOf(At("127.0.0.2:1")));
  EXPECT_EQ(SourceOf(At("[::ffff:127.0.0.1]:1")), SourceOf(At("127.0.0.1:2")));
  EXPECT_EQ(SourceOf(At("[2001:db8::1]:1")), SourceOf(At("[2001:db8::ffff:1]:1")));
  EXPECT_NE(SourceOf(At("[2001:db8:0:1::1]:1")), SourceOf(At("[2001:db8:0:2::1]:1")));
}

TEST(Address, NetworksContainWhatTheySay) {
  Network ten = *Network::Parse("10.0.0.0/9");
  EXPECT_TRUE(ten.Contains(At("10.127.1.1:1")));
  EXPECT_FALSE(ten.Contains(At("10.128.1.1:1")));
  EXPECT_TRUE(ten.Contains(At("[::ffff:10.1.1.1]:1")));
  EXPECT_TRUE(Network::Parse("::/0")->Contains(At("[::1]:1")));
  EXPECT_FALSE(Network::Parse("0.0.0.0/0")->Contains(At("[2001:db8::1]:1")));
  for (const char* bad : {"", "/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/x", "::/129"}) {
    EXPECT_FALSE(Network::Parse(bad).ok()) << bad;
  }
  EXPECT_TRUE(Allowed({}, At("1.2.3.4:1")));
  EXPECT_FALSE(Allowed({ten}, At("1.2.3.4:1")));
}

}  // namespace
}  // namespace basalt::rpc
