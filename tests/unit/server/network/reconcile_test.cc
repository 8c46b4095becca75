// From a config and a machine to what is done, with the fake that has the kernel's rules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "machineconfig/format/net.h"
#include "server/controllers/network/converge.h"
#include "server/controllers/network/mark.h"
#include "tests/support/network/fake_network.h"
#include "tests/unit/server/network/network_configs.h"

namespace basalt::testing {
namespace {

using network::Converge;
using network::Convergence;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string Ip(const std::string& text) { return format::ParseIp(text)->bytes; }

class ReconcileTest : public ::testing::Test {
 protected:
  ReconcileTest() {
    fake_.AddDevice("eth0", "52:54:00:00:00:01");
    fake_.AddDevice("eth1", "52:54:00:00:00:02");
  }
  Convergence Apply(const std::string& network) {
    config_ = NetworkConfig(network);
    return Apply();
  }
  Convergence Apply() {
    Convergence out = Converge(fake_, network::SpecOf(&config_));
    EXPECT_TRUE(out.status.ok()) << out.status;
    const size_t calls = fake_.calls.size();
    EXPECT_TRUE(Converge(fake_, network::SpecOf(&config_)).done.empty());
    EXPECT_EQ(fake_.calls.size(), calls) << "a node at rest changes nothing";
    return out;
  }
  Convergence ApplyNothing() { return Converge(fake_, network::SpecOf(nullptr)); }
  const host::Link& Link(const std::string& name) {
    const host::Link* link = fake_.state.Find(name);
    static const host::Link none;
    EXPECT_NE(link, nullptr) << name;
    return link == nullptr ? none : *link;
  }
  std::vector<std::string> AddressesOf(const std::string& name) {
    std::vector<std::string> out;
    for (const host::Address& a : fake_.state.addresses) {
      if (a.link == Link(name).index) out.push_back(network::Text(a.ip, a.prefix));
    }
    return out;
  }
  std::vector<std::string> Routes() {
    std::vector<std::string> out;
    for (const host::Route& r : fake_.state.routes) {
      out.push_back(absl::StrCat(fake_.state.Find(r.link)->name, " ", network::Text(r)));
    }
    return out;
  }

  FakeNetwork fake_;
  v1::MachineConfig config_;
};

TEST_F(ReconcileTest, AStaticAddressAndADefaultRoute) {
  Convergence out = Apply(
      "interfaces:\n- name: eth0\n  addresses: [192.168.1.10/24, \"fd00::10/64\"]\n"
      "  routes: [{to: default, via: 192.168.1.1}, {to: default, via: \"fe80::1\"}]");
  EXPECT_THAT(
      out.done,
      ElementsAre("eth1: the config no longer names it, heed no router advertisements",
                  "eth0: heed router advertisements", "eth0: add address 192.168.1.10/24",
                  "eth0: add address fd00::10/64", "eth0: add route default via 192.168.1.1",
                  "eth0: add route default (IPv6) via fe80::1"));
  EXPECT_THAT(AddressesOf("eth0"), ElementsAre("192.168.1.10/24", "fd00::10/64"));
  EXPECT_EQ(Link("eth0").alias, "basalt was name=eth0");
}

TEST_F(ReconcileTest, ANewAddressReplacesTheOldOneAndRoutesFollow) {
  Apply(
      "interfaces:\n- name: eth0\n  addresses: [192.168.1.10/24]\n"
      "  routes: [{to: default, via: 192.168.1.1}]");
  Convergence out = Apply(
      "interfaces:\n- name: eth0\n  addresses: [10.0.0.5/8]\n"
      "  routes: [{to: default, via: 10.0.0.1, metric: 7}]");
  EXPECT_THAT(AddressesOf("eth0"), ElementsAre("10.0.0.5/8"));
  EXPECT_THAT(Routes(), ElementsAre("eth0 default via 10.0.0.1 metric 7"));
  EXPECT_THAT(out.done, Contains("eth0: remove address 192.168.1.10/24"));
}

TEST_F(ReconcileTest, WhatOthersMadeIsNotTouched) {
  const int cni = fake_.AddForeign("cni0", "bridge").index;
  fake_.AddForeign("flannel.1", "vxlan");
  fake_.AddForeign(host::Address{.link = cni, .ip = Ip("10.42.0.1"), .prefix = 24});
  fake_.AddForeign(
      host::Address{.link = Link("eth0").index, .ip = Ip("192.168.1.99"), .prefix = 32});
  fake_.AddForeign(host::Route{
      .to = Ip("10.42.1.0"), .prefix = 24, .via = Ip("10.42.1.0"), .link = cni, .on_link = true});
  const host::NetworkState before = fake_.state;
  Apply("interfaces:\n- name: eth0\n  addresses: [192.168.1.10/24]");
  ApplyNothing();
  EXPECT_EQ(*fake_.state.Find("cni0"), *before.Find("cni0"));
  EXPECT_EQ(*fake_.state.Find("flannel.1"), *before.Find("flannel.1"));
  EXPECT_EQ(fake_.state.addresses, before.addresses);
  EXPECT_EQ(fake_.state.routes, before.routes);
}

TEST_F(ReconcileTest, TakingALinkOutOfTheConfigUndoesWhatItDid) {
  Apply(
      "interfaces:\n- name: lan0\n  match: {mac: \"52:54:00:00:00:01\"}\n"
      "  macAddress: 02:00:00:00:00:0a\n  mtu: 9000\n  addresses: [192.168.1.10/24]\n"
      "- name: br0\n  bridge: {members: [eth1]}\n- name: eth1");
  EXPECT_EQ(Link("lan0").mac, "02:00:00:00:00:0a");
  EXPECT_EQ(Link("lan0").mtu, 9000);
  EXPECT_EQ(Link("eth1").master, Link("br0").index);
  Apply("interfaces:\n- name: eth1");
  EXPECT_EQ(Link("eth0").mac, "52:54:00:00:00:01");
  EXPECT_EQ(Link("eth0").mtu, 1500);
  EXPECT_EQ(Link("eth0").alias, "");
  EXPECT_EQ(Link("eth0").accept_ra, 0) << "what is not named stays without addresses";
  EXPECT_THAT(AddressesOf("eth0"), IsEmpty());
  EXPECT_EQ(fake_.state.Find("br0"), nullptr);
  EXPECT_EQ(Link("eth1").master, 0);
}

TEST_F(ReconcileTest, WithoutAConfigEveryDeviceIsAsItWasFoundAndHeedsRouters) {
  Apply(
      "interfaces:\n- name: lan0\n  match: {mac: \"52:54:00:00:00:01\"}\n  mtu: 9000\n"
      "- name: lan0.20\n  vlan: {link: lan0, id: 20}\n  addresses: [10.1.0.1/24]");
  EXPECT_NE(fake_.state.Find("lan0.20"), nullptr);
  ASSERT_TRUE(ApplyNothing().status.ok());
  EXPECT_EQ(fake_.state.Find("lan0.20"), nullptr);
  for (const char* name : {"eth0", "eth1"}) {
    EXPECT_EQ(Link(name).mtu, 1500);
    EXPECT_EQ(Link(name).alias, "");
    EXPECT_EQ(Link(name).accept_ra, 2) << "1 is not enough where pods' packets are forwarded";
    EXPECT_TRUE(Link(name).up);
  }
  EXPECT_THAT(ApplyNothing().done, IsEmpty());
}

TEST_F(ReconcileTest, TwoDevicesMaySwapTheirNames) {
  Apply(
      "interfaces:\n- name: eth1\n  match: {mac: \"52:54:00:00:00:01\"}\n"
      "  addresses: [10.0.0.1/24]\n"
      "- name: eth0\n  match: {mac: \"52:54:00:00:00:02\"}\n  addresses: [10.0.1.1/24]");
  EXPECT_EQ(Link("eth1").permanent_mac, "52:54:00:00:00:01");
  EXPECT_THAT(AddressesOf("eth1"), ElementsAre("10.0.0.1/24"));
  ASSERT_TRUE(ApplyNothing().status.ok());
  EXPECT_EQ(Link("eth0").permanent_mac, "52:54:00:00:00:01");
  EXPECT_EQ(Link("eth1").permanent_mac, "52:54:00:00:00:02");
}

TEST_F(ReconcileTest, ADeviceIsFoundByDriverAndPathAndOnlyIfItIsOne) {
  fake_.state.links[1].driver = "bcmgenet";
  fake_.state.links[2].path = "pci-0000:01:00.0";
  Apply(
      "interfaces:\n- name: lan0\n  match: {driver: bcmgenet}\n"
      "- name: wan0\n  match: {path: \"pci-0000:01:00.0\"}");
  EXPECT_EQ(Link("lan0").permanent_mac, "52:54:00:00:00:01");
  EXPECT_EQ(Link("wan0").permanent_mac, "52:54:00:00:00:02");
  for (host::Link& link : fake_.state.links) link.driver = "bcmgenet";
  config_ = NetworkConfig("interfaces:\n- name: lan0\n  match: {driver: bcmgenet}");
  Convergence out = Converge(fake_, network::SpecOf(&config_));
  ASSERT_EQ(out.problems.size(), 1u);
  EXPECT_EQ(out.problems[0].code, "ambiguous-device");
}

TEST_F(ReconcileTest, ADeviceThatIsNotThereIsAProblemAndTheOthersGoOn) {
  config_ = NetworkConfig(
      "interfaces:\n- name: eth7\n  addresses: [10.0.0.1/24]\n- name: eth0\n"
      "  addresses: [10.0.1.1/24]");
  Convergence out = Converge(fake_, network::SpecOf(&config_));
  EXPECT_TRUE(out.status.ok());
  ASSERT_EQ(out.problems.size(), 1u);
  EXPECT_EQ(out.problems[0].code, "no-such-device");
  EXPECT_EQ(out.problems[0].remedy,
            "this machine has eth0 (mac 52:54:00:00:00:01), eth1 (mac 52:54:00:00:00:02)");
  EXPECT_THAT(AddressesOf("eth0"), ElementsAre("10.0.1.1/24"));
}

TEST_F(ReconcileTest, AKernelWithoutBondsKeepsTheUplink) {
  fake_.no_modules = {"bond"};
  config_ = NetworkConfig(
      "interfaces:\n- name: bond0\n  bond: {members: [eth1]}\n  addresses: [10.0.0.1/24]\n"
      "- name: eth1\n- name: eth0\n  addresses: [10.0.1.1/24]");
  Convergence out = Converge(fake_, network::SpecOf(&config_));
  EXPECT_EQ(api::Reason(out.status), "kernel-cannot") << out.status;
  EXPECT_THAT(AddressesOf("eth0"), ElementsAre("10.0.1.1/24"));
}

TEST_F(ReconcileTest, ABondAVlanAndABridgeOnTopOfEachOther) {
  Apply(
      "interfaces:\n- name: eth0\n- name: eth1\n"
      "- name: bond0\n  bond: {members: [eth0, eth1], mode: 802.3ad, lacpRate: fast}\n  mtu: 9000\n"
      "- name: bond0.20\n  vlan: {link: bond0, id: 20}\n"
      "- name: br0\n  bridge: {members: [bond0.20]}\n  addresses: [10.0.0.1/24]");
  EXPECT_EQ(Link("eth0").master, Link("bond0").index);
  EXPECT_EQ(Link("bond0").bond.mode, 4);
  EXPECT_EQ(Link("bond0").bond.lacp_fast, 1);
  EXPECT_EQ(Link("bond0.20").below, Link("bond0").index);
  EXPECT_EQ(Link("bond0.20").master, Link("br0").index);
  EXPECT_EQ(Link("eth0").accept_ra, 0);
  EXPECT_THAT(AddressesOf("br0"), ElementsAre("10.0.0.1/24"));
  // A mode cannot be changed: made anew, with everything on top of it.
  Apply(
      "interfaces:\n- name: eth0\n- name: eth1\n"
      "- name: bond0\n  bond: {members: [eth0, eth1], primary: eth1}\n"
      "- name: bond0.20\n  vlan: {link: bond0, id: 20}\n"
      "- name: br0\n  bridge: {members: [bond0.20]}\n  addresses: [10.0.0.1/24]");
  EXPECT_EQ(Link("bond0").bond.mode, 1);
  EXPECT_EQ(Link("bond0").active, Link("eth1").index);
  EXPECT_EQ(Link("bond0.20").master, Link("br0").index);
}

TEST_F(ReconcileTest, TheBondThatTheModuleComesWithIsMadeAnewAndOneInUseIsNot) {
  fake_.AddForeign("bond0", "bond").up = false;
  const std::string network = "interfaces:\n- name: eth0\n- name: bond0\n  bond: {members: [eth0]}";
  Apply(network);
  EXPECT_EQ(Link("bond0").alias, "basalt made");
  EXPECT_EQ(Link("eth0").master, Link("bond0").index);
  ApplyNothing();
  fake_.AddForeign("bond0", "bond");
  config_ = NetworkConfig(network);
  Convergence out = Converge(fake_, network::SpecOf(&config_));
  ASSERT_EQ(out.problems.size(), 1u);
  EXPECT_EQ(out.problems[0].code, "name-taken");
}

TEST_F(ReconcileTest, VlansOfABridgePassAtItsMembers) {
  Apply(
      "interfaces:\n- name: eth0\n- name: br0\n"
      "  bridge: {members: [eth0], vlanFiltering: true, vlans: [10, 20]}");
  EXPECT_EQ(Link("eth0").vlans, (std::set<int>{10, 20}));
  EXPECT_EQ(Link("br0").vlans, (std::set<int>{10, 20}));
  Apply(
      "interfaces:\n- name: eth0\n- name: br0\n"
      "  bridge: {members: [eth0], vlanFiltering: true, vlans: [20]}");
  EXPECT_EQ(Link("eth0").vlans, std::set<int>{20});
}

TEST_F(ReconcileTest, RoutesOfTablesAndTheirRules) {
  Apply(
      "interfaces:\n- name: eth0\n  addresses: [10.9.0.5/24]\n"
      "  routes: [{to: default, via: 10.9.0.1, table: 100, source: 10.9.0.5}]\n"
      "routingRules:\n- {from: 10.9.0.0/24, table: 100}\n"
      "- {fromInterface: eth0, table: 100, priority: 7}");
  EXPECT_THAT(Routes(), ElementsAre("eth0 default via 10.9.0.1 table 100 from 10.9.0.5"));
  ASSERT_EQ(fake_.state.rules.size(), 3u) << "one of an interface is for both families";
  EXPECT_EQ(network::Text(fake_.state.rules[0]),
            "from 10.9.0.0/24 looks at table 100 (priority 30000)");
  fake_.state.rules.push_back({.table = 254, .priority = 32766, .protocol = 2});
  Apply("interfaces:\n- name: eth0\n  addresses: [10.9.0.5/24]");
  ASSERT_EQ(fake_.state.rules.size(), 1u);
  EXPECT_EQ(fake_.state.rules[0].priority, 32766u);
}

TEST_F(ReconcileTest, AnAddressOfALeaseBecomesStaticInItsPlace) {
  fake_.AddForeign(host::Address{
      .link = Link("eth0").index, .ip = Ip("192.168.1.10"), .prefix = 24, .permanent = false});
  Apply("interfaces:\n- name: eth0\n  addresses: [192.168.1.10/24]");
  ASSERT_EQ(fake_.state.addresses.size(), 1u);
  EXPECT_TRUE(fake_.state.addresses[0].permanent);
}

TEST_F(ReconcileTest, ADriftIsCorrected) {
  Apply(
      "interfaces:\n- name: eth0\n  addresses: [192.168.1.10/24]\n"
      "  routes: [{to: default, via: 192.168.1.1}]");
  fake_.state.addresses.clear();
  fake_.state.routes.clear();
  fake_.state.links[1].mtu = 1400;
  Convergence out = Apply();
  EXPECT_THAT(out.done, ElementsAre("eth0: add address 192.168.1.10/24",
                                    "eth0: add route default via 192.168.1.1"))
      << "an MTU that the config does not say is not its business";
}

TEST_F(ReconcileTest, EveryValidConfigSettles) {
  int configs = 0;
  for (const auto& file : std::filesystem::directory_iterator(GOLDEN_CONFIGS)) {
    const std::string name = file.path().filename();
    if (name.rfind("ok_", 0) != 0 || file.path().extension() != ".yaml") continue;
    std::ifstream in(file.path());
    absl::StatusOr<v1::MachineConfig> config = validate::Load(
        std::string(std::istreambuf_iterator<char>(in), {}), name, validate::Stage::kSource);
    if (!config.ok() || !config->has_network()) continue;
    SCOPED_TRACE(name);
    ++configs;
    config_ = schema::Resolve(*config);
    FakeNetwork fake;
    for (const v1::Interface& i : config_.network().interfaces()) {
      if (i.kind_case() != v1::Interface::KIND_NOT_SET) continue;
      host::Link& link =
          fake.AddDevice(i.has_match() ? absl::StrCat("was-", i.name()) : i.name(),
                         i.match().has_mac() ? i.match().mac() : "52:54:00:00:00:09");
      link.driver = i.match().driver();
      link.path = i.match().path();
    }
    Convergence out = Converge(fake, network::SpecOf(&config_));
    EXPECT_TRUE(out.status.ok()) << out.status;
    EXPECT_TRUE(out.problems.empty()) << out.problems[0].message;
    EXPECT_TRUE(Converge(fake, network::SpecOf(&config_)).done.empty());
    ASSERT_TRUE(Converge(fake, network::SpecOf(nullptr)).status.ok());
    EXPECT_TRUE(Converge(fake, network::SpecOf(nullptr)).done.empty());
    for (const host::Link& link : fake.state.links) EXPECT_EQ(link.alias, "") << link.name;
  }
  EXPECT_GT(configs, 10);
}

TEST(Mark, IsReadAsItWasWritten) {
  const network::Mark mark{.ours = true, .name = "eth1", .mac = "52:54:00:00:00:01", .mtu = 1500};
  EXPECT_EQ(network::ToText(mark), "basalt was name=eth1 mac=52:54:00:00:00:01 mtu=1500");
  EXPECT_EQ(network::ReadMark(network::ToText(mark)), mark);
  EXPECT_EQ(network::ReadMark("uplink of the rack"), network::Mark{});
  EXPECT_EQ(network::ReadMark("basalt was name=a/b mac=x mtu=-1"), network::Mark{.ours = true});
}

}  // namespace
}  // namespace basalt::testing
