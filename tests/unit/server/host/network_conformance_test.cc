// What a controller may rely on, of the kernel and of the fake alike. The kernel's in a network
// namespace that each test makes; what this kernel has no module for is skipped there.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "api/coded_status.h"
#include "machineconfig/format/net.h"
#include "tests/support/network/fake_network.h"
#include "tests/support/network/network_namespace.h"

namespace basalt::testing {
namespace {

std::string Ip(const std::string& text) { return format::ParseIp(text)->bytes; }

class NetworkConformance : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!GetParam()) {
      auto fake = std::make_unique<FakeNetwork>();
      fake->AddDevice("eth0", "02:00:00:00:00:01").up = false;
      fake->AddDevice("eth1", "02:00:00:00:00:02").up = false;
      network_ = std::move(fake);
      return;
    }
    if (const std::string why = EnterNetworkNamespace(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_EQ(Shell("ip link add eth0 address 02:00:00:00:00:01 type veth peer name p0"
                    " && ip link add eth1 address 02:00:00:00:00:02 type veth peer name p1"
                    " && ip link set p0 up && ip link set p1 up"),
              "");
    absl::StatusOr<std::unique_ptr<host::Network>> real = host::OpenNetwork();
    ASSERT_TRUE(real.ok()) << real.status();
    network_ = *std::move(real);
  }

  host::NetworkState State() {
    absl::StatusOr<host::NetworkState> state = network_->Observe();
    EXPECT_TRUE(state.ok()) << state.status();
    return state.value_or(host::NetworkState{});
  }
  host::Link Get(const std::string& name) {
    const host::NetworkState state = State();
    const host::Link* link = state.Find(name);
    return link == nullptr ? host::Link{} : *link;
  }
  int Index(const std::string& name) { return Get(name).index; }
  bool Up(const std::string& name) {
    return network_->Change(Index(name), {.up = true}).ok() && Get(name).up;
  }
  std::vector<host::Address> Own(int link) {
    std::vector<host::Address> out;
    for (const host::Address& a : State().addresses) {
      if (a.link == link && a.protocol == host::kOwnProtocol) out.push_back(a);
    }
    return out;
  }
  std::vector<host::Route> OwnRoutes() {
    std::vector<host::Route> out;
    for (const host::Route& r : State().routes) {
      if (r.protocol == host::kOwnProtocol) out.push_back(r);
    }
    return out;
  }
  host::Address Address4(const std::string& name, const std::string& ip, int prefix = 24) {
    return {.link = Index(name), .ip = Ip(ip), .prefix = prefix, .protocol = host::kOwnProtocol};
  }
  host::Route Default(const std::string& name, const std::string& via) {
    return {.to = std::string(Ip(via).size(), '\0'),
            .via = Ip(via),
            .link = Index(name),
            .protocol = host::kOwnProtocol};
  }

  std::unique_ptr<host::Network> network_;
};

TEST_P(NetworkConformance, ALinkIsRenamedMarkedAndGivenAMacAndAnMtu) {
  const int index = Index("eth0");
  ASSERT_TRUE(network_
                  ->Change(index, {.down = true,
                                   .name = "lan0",
                                   .alias = "basalt: was name=eth0",
                                   .mac = "02:00:00:00:00:aa",
                                   .mtu = 1400,
                                   .accept_ra = 2,
                                   .up = true})
                  .ok());
  const host::Link link = Get("lan0");
  EXPECT_EQ(link.index, index);
  EXPECT_EQ(link.alias, "basalt: was name=eth0");
  EXPECT_EQ(link.mac, "02:00:00:00:00:aa");
  EXPECT_EQ(link.mtu, 1400);
  EXPECT_EQ(link.accept_ra, 2);
  EXPECT_TRUE(link.up);
  EXPECT_TRUE(link.ethernet);
  EXPECT_EQ(Index("eth0"), 0);
  EXPECT_TRUE(absl::IsAlreadyExists(network_->Change(index, {.down = true, .name = "eth1"})));
  EXPECT_TRUE(absl::IsNotFound(network_->Change(9999, {.mtu = 1400})));
}

TEST_P(NetworkConformance, AddressesBearOurMarkAndAreReplacedNotDoubled) {
  ASSERT_TRUE(Up("eth0"));
  host::Address four = Address4("eth0", "10.7.0.1");
  host::Address six = Address4("eth0", "fd07::1", 64);
  six.no_dad = true;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(network_->Add(four).ok());
    ASSERT_TRUE(network_->Add(six).ok());
  }
  six.no_dad = false;
  EXPECT_EQ(Own(four.link), (std::vector<host::Address>{four, six}));
  ASSERT_TRUE(network_->Remove(four).ok());
  ASSERT_TRUE(network_->Remove(four).ok()) << "it may be repeated";
  EXPECT_EQ(Own(four.link), std::vector<host::Address>{six});
  EXPECT_TRUE(absl::IsNotFound(network_->Add({.link = 9999, .ip = Ip("10.7.0.9"), .prefix = 24})));
}

TEST_P(NetworkConformance, ARouteWantsAReachableRouterAndGoesWithItsLink) {
  ASSERT_TRUE(Up("eth0"));
  host::Route route = Default("eth0", "10.7.0.254");
  EXPECT_TRUE(absl::IsInvalidArgument(network_->Add(route)));
  ASSERT_TRUE(network_->Add(Address4("eth0", "10.7.0.1")).ok());
  ASSERT_TRUE(network_->Add(route).ok());
  EXPECT_EQ(OwnRoutes(), std::vector<host::Route>{route});
  EXPECT_TRUE(absl::IsAlreadyExists(network_->Add(route)));
  ASSERT_TRUE(network_->Remove(route).ok());
  ASSERT_TRUE(network_->Remove(route).ok());
  EXPECT_TRUE(OwnRoutes().empty());
  ASSERT_TRUE(network_->Add(route).ok());
  ASSERT_TRUE(network_->Change(route.link, {.down = true}).ok());
  EXPECT_TRUE(OwnRoutes().empty());
}

TEST_P(NetworkConformance, ARouteHasATableAMetricASourceAndMayBeOnLink) {
  ASSERT_TRUE(Up("eth0"));
  ASSERT_TRUE(network_->Add(Address4("eth0", "10.7.0.1")).ok());
  host::Route route{.to = Ip("10.20.0.0"),
                    .prefix = 16,
                    .via = Ip("172.30.0.1"),
                    .link = Index("eth0"),
                    .metric = 77,
                    .table = 1000,
                    .source = Ip("10.7.0.1"),
                    .on_link = true,
                    .protocol = host::kOwnProtocol};
  ASSERT_TRUE(network_->Add(route).ok());
  EXPECT_EQ(OwnRoutes(), std::vector<host::Route>{route});
  ASSERT_TRUE(network_->Remove(Address4("eth0", "10.7.0.1")).ok());
  EXPECT_TRUE(OwnRoutes().empty()) << "its source is gone";
}

TEST_P(NetworkConformance, ADefaultRouteOfIpv6HasTheKernelsMetric) {
  ASSERT_TRUE(Up("eth0"));
  ASSERT_TRUE(network_->Add(Default("eth0", "fe80::1")).ok());
  ASSERT_EQ(OwnRoutes().size(), 1u);
  EXPECT_EQ(OwnRoutes()[0].metric, 1024u);
  EXPECT_EQ(OwnRoutes()[0].to, std::string(16, '\0'));
}

TEST_P(NetworkConformance, RulesChooseATable) {
  const host::Rule four{.from = Ip("10.9.0.0"),
                        .from_prefix = 24,
                        .link = "eth1",
                        .table = 1000,
                        .priority = 500,
                        .protocol = host::kOwnProtocol};
  const host::Rule six{.v6 = true,
                       .to = Ip("fd09::"),
                       .to_prefix = 48,
                       .table = 100,
                       .priority = 501,
                       .protocol = host::kOwnProtocol};
  for (const host::Rule& rule : {four, six}) {
    ASSERT_TRUE(network_->Add(rule).ok());
    EXPECT_TRUE(absl::IsAlreadyExists(network_->Add(rule)));
    const auto rules = State().rules;
    EXPECT_EQ(std::count(rules.begin(), rules.end(), rule), 1);
    ASSERT_TRUE(network_->Remove(rule).ok());
    ASSERT_TRUE(network_->Remove(rule).ok());
    const auto after = State().rules;
    EXPECT_EQ(std::count(after.begin(), after.end(), rule), 0);
  }
}

TEST_P(NetworkConformance, ABridgeHasMembersAndOptions) {
  ASSERT_TRUE(
      network_
          ->Make({.name = "br0", .kind = "bridge", .alias = "basalt made", .bridge = {.stp = true}})
          .ok());
  EXPECT_TRUE(absl::IsAlreadyExists(network_->Make({.name = "br0", .kind = "bridge"})));
  const host::Link bridge = Get("br0");
  EXPECT_EQ(bridge.kind, "bridge");
  EXPECT_EQ(bridge.alias, "basalt made");
  EXPECT_TRUE(bridge.bridge.stp);
  ASSERT_TRUE(network_->Change(Index("eth0"), {.master = bridge.index, .up = true}).ok());
  EXPECT_EQ(Get("eth0").master, bridge.index);
  ASSERT_TRUE(network_->Change(bridge.index, {.stp = false}).ok());
  EXPECT_FALSE(Get("br0").bridge.stp);
  ASSERT_TRUE(network_->Remove(bridge.index).ok());
  ASSERT_TRUE(network_->Remove(bridge.index).ok());
  EXPECT_EQ(Get("eth0").master, 0);
}

TEST_P(NetworkConformance, ABridgeSaysWhichVlansPass) {
  absl::Status made =
      network_->Make({.name = "br0", .kind = "bridge", .bridge = {.vlan_filtering = true}});
  if (api::Reason(made) == "kernel-cannot") GTEST_SKIP() << made;
  ASSERT_TRUE(made.ok()) << made;
  const int bridge = Index("br0"), member = Index("eth0");
  EXPECT_TRUE(Get("br0").bridge.vlan_filtering);
  ASSERT_TRUE(network_->Change(member, {.master = bridge, .up = true}).ok());
  ASSERT_TRUE(network_->SetBridgeVlan(member, 10, true).ok());
  ASSERT_TRUE(network_->SetBridgeVlan(member, 20, true).ok());
  ASSERT_TRUE(network_->SetBridgeVlan(member, 10, false).ok());
  ASSERT_TRUE(network_->SetBridgeVlan(bridge, 20, true).ok());
  EXPECT_EQ(Get("eth0").vlans, std::set<int>{20});
  EXPECT_EQ(Get("br0").vlans, std::set<int>{20});
}

TEST_P(NetworkConformance, AVlanIsOnTopOfALinkAndGoesWithItsAddresses) {
  absl::Status made =
      network_->Make({.name = "eth0.20", .kind = "vlan", .below = Index("eth0"), .vlan_id = 20});
  if (api::Reason(made) == "kernel-cannot") GTEST_SKIP() << made;
  ASSERT_TRUE(made.ok()) << made;
  const host::Link vlan = Get("eth0.20");
  EXPECT_EQ(vlan.kind, "vlan");
  EXPECT_EQ(vlan.below, Index("eth0"));
  EXPECT_EQ(vlan.vlan_id, 20);
  EXPECT_FALSE(network_->Change(vlan.index, {.mtu = 9000}).ok());
  ASSERT_TRUE(network_->Add(Address4("eth0.20", "10.8.0.1")).ok());
  ASSERT_TRUE(network_->Remove(vlan.index).ok());
  EXPECT_TRUE(Own(vlan.index).empty());
}

TEST_P(NetworkConformance, AMemberOfABondJoinsItDown) {
  const host::BondOptions options{.mode = 1, .miimon = 250};
  absl::Status made = network_->Make({.name = "bond0", .kind = "bond", .bond = options});
  if (api::Reason(made) == "kernel-cannot") GTEST_SKIP() << made;
  ASSERT_TRUE(made.ok()) << made;
  const host::Link bond = Get("bond0");
  EXPECT_EQ(bond.bond, options);
  ASSERT_TRUE(Up("eth0"));
  EXPECT_FALSE(network_->Change(Index("eth0"), {.master = bond.index}).ok());
  ASSERT_TRUE(network_->Change(Index("eth0"), {.down = true, .master = bond.index}).ok());
  EXPECT_EQ(Get("eth0").master, bond.index);
  ASSERT_TRUE(network_->Change(bond.index, {.active = Index("eth0")}).ok());
  EXPECT_EQ(Get("bond0").active, Index("eth0"));
}

INSTANTIATE_TEST_SUITE_P(Networks, NetworkConformance, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Kernel" : "Fake"; });

}  // namespace
}  // namespace basalt::testing
