// The firewall in the kernel: what a machine on the other end of a cable can connect to. In network
// namespaces that the test makes.
#include "server/host/packet_filter.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/format/net.h"
#include "tests/support/network/network_namespace.h"

namespace basalt::testing {
namespace {

using host::FilterPolicy;
using host::FilterRule;

host::FilterNetwork Network(const std::string& text) {
  const format::Cidr cidr = *format::ParseCidr(text);
  return {.ip = cidr.network.bytes, .prefix = cidr.prefix};
}

class PacketFilterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = EnterNetworkNamespace(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_EQ(Shell("mount -t tmpfs none /run && ip netns add other"
                    " && ip link add eth0 type veth peer name eth0 netns other"
                    " && ip link set eth0 up && ip -n other link set eth0 up"
                    " && ip addr add 10.7.0.1/24 dev eth0"
                    " && ip -6 addr add fd07::1/64 dev eth0 nodad"
                    " && ip -n other addr add 10.7.0.2/24 dev eth0"
                    " && ip -n other -6 addr add fd07::2/64 dev eth0 nodad"),
              "");
    for (int port : {6050, 6443}) {
      const int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in6 at{.sin6_family = AF_INET6, .sin6_port = htons(static_cast<uint16_t>(port))};
      ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
      ASSERT_EQ(listen(listener, 8), 0);
    }
    absl::StatusOr<std::unique_ptr<host::PacketFilter>> filter = host::OpenPacketFilter();
    ASSERT_TRUE(filter.ok()) << filter.status();
    filter_ = *std::move(filter);
    absl::Status status = filter_->Remove();
    if (!status.ok()) GTEST_SKIP() << "this kernel has no nftables: " << status;
  }

  // From the other machine.
  bool Connects(const std::string& address, int port) {
    return Shell(absl::StrCat("ip netns exec other timeout 0.4 bash -c '</dev/tcp/", address, "/",
                              port, "' 2>/dev/null")) == "";
  }
  bool Pings(const std::string& address) {
    return Shell(absl::StrCat("ip netns exec other ping -c1 -W1 ", address, " >/dev/null")) == "";
  }

  std::unique_ptr<host::PacketFilter> filter_;
};

TEST_F(PacketFilterTest, WhatNoRuleAcceptsIsDroppedAndNeighboursAreStillFound) {
  EXPECT_TRUE(Connects("10.7.0.1", 6050));
  const FilterPolicy policy{.drop = true,
                            .rules = {{.name = "api", .protocol = 6, .ports = {{6050, 6050}}}}};
  ASSERT_TRUE(filter_->Set(policy).ok()) << filter_->Set(policy);
  EXPECT_EQ(*filter_->Mark(), host::MarkOf(policy));
  ASSERT_EQ(Shell("ip neigh flush all; ip -n other neigh flush all"), "");
  EXPECT_TRUE(Connects("10.7.0.1", 6050));
  EXPECT_TRUE(Connects("fd07::1", 6050)) << "neighbour discovery passes";
  EXPECT_FALSE(Connects("10.7.0.1", 6443));
  EXPECT_FALSE(Connects("fd07::1", 6443));
  EXPECT_EQ(Shell("timeout 1 bash -c '</dev/tcp/10.7.0.1/6443'"), "") << "from the node itself";
  ASSERT_TRUE(filter_->Remove().ok());
  EXPECT_EQ(*filter_->Mark(), "");
  EXPECT_TRUE(Connects("10.7.0.1", 6443));
}

TEST_F(PacketFilterTest, AnswersToWhatTheNodeAskedPass) {
  ASSERT_TRUE(filter_->Set({.drop = true}).ok());
  EXPECT_EQ(Shell("timeout 2 bash -c '</dev/tcp/10.7.0.2/9' 2>&1"
                  " | grep -q refused && echo yes"),
            "yes\n")
      << "a refusal of the other side is an answer";
  EXPECT_FALSE(Connects("10.7.0.1", 6050));
}

TEST_F(PacketFilterTest, WhatARuleDropsIsDroppedWhateverAnotherAccepts) {
  ASSERT_TRUE(filter_
                  ->Set({.rules = {{.name = "all", .protocol = 6},
                                   {.name = "not-these",
                                    .from = {Network("10.7.0.2/32")},
                                    .protocol = 6,
                                    .ports = {{6443, 6443}},
                                    .drop = true}}})
                  .ok());
  EXPECT_FALSE(Connects("10.7.0.1", 6443));
  EXPECT_TRUE(Connects("fd07::1", 6443)) << "the rule is about another network";
  EXPECT_TRUE(Connects("10.7.0.1", 6050));
}

TEST_F(PacketFilterTest, ARuleIsOfNetworksInterfacesAndPortsTogether) {
  const FilterRule rule{
      .name = "r",
      .from = {Network("192.168.0.0/16"), Network("10.7.0.0/30"), Network("fd07::/64")},
      .interfaces = {"eth1", "eth0"},
      .protocol = 6,
      .ports = {{22, 22}, {6000, 6100}}};
  ASSERT_TRUE(filter_->Set({.drop = true, .rules = {rule}}).ok());
  EXPECT_TRUE(Connects("10.7.0.1", 6050));
  EXPECT_TRUE(Connects("fd07::1", 6050));
  EXPECT_FALSE(Connects("10.7.0.1", 6443)) << "another port";
  FilterRule other = rule;
  other.interfaces = {"eth"};
  ASSERT_TRUE(filter_->Set({.drop = true, .rules = {other}}).ok());
  EXPECT_FALSE(Connects("10.7.0.1", 6050)) << "a name that begins so is another interface";
  other = rule;
  other.from = {Network("10.8.0.0/16")};
  ASSERT_TRUE(filter_->Set({.drop = true, .rules = {other}}).ok());
  EXPECT_FALSE(Connects("10.7.0.1", 6050)) << "another network";
}

TEST_F(PacketFilterTest, EchoIsAConnectionLikeAnyOther) {
  if (!Pings("10.7.0.1")) GTEST_SKIP() << "no ping here";
  ASSERT_TRUE(filter_->Set({.drop = true}).ok());
  EXPECT_FALSE(Pings("10.7.0.1"));
  ASSERT_TRUE(filter_->Set({.drop = true, .rules = {{.name = "ping", .protocol = 1}}}).ok());
  EXPECT_TRUE(Pings("10.7.0.1"));
}

TEST_F(PacketFilterTest, PodsAndWhatPassesTheNodeAreNotItsBusiness) {
  ASSERT_EQ(Shell("ip link set eth0 down && ip link set eth0 name veth9 && ip link set veth9 up"
                  " && ip -6 addr add fd07::1/64 dev veth9 nodad"),
            "");
  ASSERT_TRUE(filter_->Set({.drop = true}).ok());
  EXPECT_TRUE(Connects("10.7.0.1", 6443)) << "of a pod";
}

TEST_F(PacketFilterTest, TablesOfOthersStayAndAHoleInOursIsSeen) {
  const FilterPolicy policy{.drop = true};
  if (absl::StartsWith(Shell("iptables-nft -A INPUT -p tcp --dport 1 -j DROP"), "failed")) {
    GTEST_SKIP() << "no iptables-nft";
  }
  ASSERT_TRUE(filter_->Set(policy).ok());
  ASSERT_TRUE(filter_->Remove().ok());
  EXPECT_TRUE(absl::StrContains(Shell("iptables-nft-save"), "--dport 1"));
}

TEST(FilterMark, TellsPoliciesApart) {
  const FilterPolicy a{.drop = true, .rules = {{.name = "a", .protocol = 6}}};
  FilterPolicy b = a;
  EXPECT_EQ(host::MarkOf(a), host::MarkOf(b));
  b.rules[0].drop = true;
  EXPECT_NE(host::MarkOf(a), host::MarkOf(b));
}

TEST_F(PacketFilterTest, ThousandsOfRulesAreOneTransaction) {
  FilterPolicy policy{.drop = true};
  for (int i = 0; i < 256; ++i) {
    FilterRule rule{.name = absl::StrCat("r", i), .protocol = 6};
    for (int k = 0; k < 16; ++k) {
      const uint16_t port = static_cast<uint16_t>(10000 + i * 16 + k);
      rule.ports.push_back({port, port});
      rule.from.push_back(Network(absl::StrCat("10.", k, ".", i, ".0/24")));
    }
    policy.rules.push_back(rule);
  }
  absl::Status status = filter_->Set(policy);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(*filter_->Mark(), host::MarkOf(policy));
}

}  // namespace
}  // namespace basalt::testing
