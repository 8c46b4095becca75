// The controller with the kernel, in network namespaces that the test makes: what a machine on the
// other end of the cable sees of it. dhcpcd alone is a fake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/controllers/network/network_controller.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/network/fake_filter.h"
#include "tests/support/network/network_namespace.h"
#include "tests/support/supervisor/fake_supervisor.h"
#include "tests/support/vfs/fake_vfs.h"
#include "tests/unit/server/network/network_configs.h"

namespace basalt::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class KernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = EnterNetworkNamespace(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_EQ(Shell("mount -t tmpfs none /run && ip netns add other"
                    " && ip link add eth0 address 02:00:00:00:00:01 type veth"
                    "    peer name eth0 netns other"
                    " && ip link add eth1 address 02:00:00:00:00:02 type veth peer name p1"
                    " && ip -n other link set eth0 up && ip -n other addr add 10.7.0.2/24 dev eth0"
                    // What K3s has made.
                    " && ip link add cni0 type bridge && ip link set cni0 up"
                    " && ip addr add 10.42.0.1/24 dev cni0"
                    " && ip route add 10.42.1.0/24 via 10.42.0.9 dev cni0 onlink"),
              "");
    foreign_ = Foreign();
    network_ = *host::OpenNetwork();
    absl::StatusOr<std::unique_ptr<host::PacketFilter>> filter = host::OpenPacketFilter();
    ASSERT_TRUE(filter.ok());
    filter_ = *std::move(filter);
    controller_ = network::MakeNetworkController({.executor = executor_,
                                                  .vfs = vfs_,
                                                  .random = host::RealRandom(),
                                                  .supervisor = supervisor_,
                                                  .network = *network_,
                                                  .filter = *filter_,
                                                  .wireguard = wireguard_,
                                                  .resolve = [](const auto&) { return ""; },
                                                  .dhcp_program = "/bin/true",
                                                  .dhcp_hook = "/bin/true"});
  }
  absl::Status Execute(const v1::MachineConfig* config) {
    absl::Status result = absl::UnknownError("never done");
    controller_->Execute(config, [&](absl::Status status) { result = status; });
    executor_.RunUntilIdle();
    return result;
  }
  absl::Status Execute(const std::string& network) {
    const v1::MachineConfig config = NetworkConfig(network);
    return Execute(&config);
  }
  std::string Foreign() {
    return Shell("ip addr show cni0 | grep -v valid_lft; ip route show dev cni0");
  }
  // Can the other machine reach the node? A refusal is an answer.
  bool Reaches(const std::string& address) {
    const std::string answer =
        Shell("ip netns exec other timeout 0.5 bash -c '</dev/tcp/" + address + "/9' 2>&1; true");
    return answer.find("refused") != std::string::npos;
  }

  FakeClock clock_;
  ManualExecutor executor_{clock_};
  FakeSupervisor supervisor_{clock_};
  FakeVfs vfs_;
  FakeWireguard wireguard_;
  std::unique_ptr<host::Network> network_;
  std::unique_ptr<host::PacketFilter> filter_;
  std::unique_ptr<network::NetworkController> controller_;
  std::string foreign_;
};

constexpr char kGood[] =
    "interfaces:\n- name: lan0\n  match: {mac: \"02:00:00:00:00:01\"}\n  mtu: 1400\n"
    "  addresses: [10.7.0.1/24, \"fd07::1/64\"]\n"
    "  routes: [{to: default, via: 10.7.0.2}, {to: default, via: 10.7.0.2, table: 100},\n"
    "    {to: \"2001:db8::/32\", via: \"fd07::2\", source: \"fd07::1\"}]\n"
    "- name: br0\n  bridge: {members: [eth1], stp: true}\n  addresses: [10.8.0.1/24]\n- name: "
    "eth1\n"
    "routingRules: [{from: 10.8.0.0/24, table: 100}]";

TEST_F(KernelTest, AConfigIsMadeTrueAndUndoneAndNothingElseIsTouched) {
  ASSERT_TRUE(Execute(kGood).ok()) << Execute(kGood);
  EXPECT_TRUE(Reaches("10.7.0.1"));
  EXPECT_THAT(Shell("ip route show"), HasSubstr("default via 10.7.0.2 dev lan0 proto 181"));
  EXPECT_THAT(Shell("ip -6 route show"), HasSubstr("2001:db8::/32 via fd07::2 dev lan0 proto 181"));
  EXPECT_THAT(Shell("ip route show table 100"), HasSubstr("default via 10.7.0.2 dev lan0"));
  EXPECT_THAT(Shell("ip rule"), HasSubstr("from 10.8.0.0/24 lookup 100 proto 181"));
  EXPECT_THAT(Shell("ip link show lan0"), HasSubstr("mtu 1400"));
  EXPECT_THAT(Shell("ip link show eth1"), HasSubstr("master br0"));
  EXPECT_THAT(Shell("cat /proc/sys/net/ipv6/conf/lan0/accept_ra"), HasSubstr("2"));
  EXPECT_EQ(Foreign(), foreign_);
  ASSERT_TRUE(Execute(nullptr).ok());
  EXPECT_THAT(Shell("ip link"), HasSubstr("eth0"));
  EXPECT_THAT(Shell("ip link show eth0"), HasSubstr("mtu 1500"));
  EXPECT_THAT(Shell("ip link"), Not(HasSubstr("br0")));
  EXPECT_THAT(Shell("ip addr; ip route; ip -6 route; ip rule"), Not(HasSubstr("181")));
  EXPECT_EQ(Foreign(), foreign_);
}

TEST_F(KernelTest, WhenAConfigThatCutsTheNodeOffIsRevertedItIsReachedAgain) {
  ASSERT_TRUE(Execute(kGood).ok());
  ASSERT_TRUE(Reaches("10.7.0.1"));
  // Each cuts off in another way; going back is an Execute of what was committed.
  for (const char* cut : {"interfaces:\n- name: lan0\n  match: {mac: \"02:00:00:00:00:01\"}\n"
                          "  addresses: [172.31.0.1/30]",
                          "interfaces:\n- name: eth1\n  addresses: [10.7.0.1/24]",
                          "interfaces:\n- name: lan0\n  match: {mac: \"02:00:00:00:00:01\"}\n"
                          "  addresses: [10.7.0.1/24]\nfirewall: {policy: drop, closed: [api]}"}) {
    ASSERT_TRUE(Execute(cut).ok());
    EXPECT_FALSE(Reaches("10.7.0.1")) << cut;
    ASSERT_TRUE(Execute(kGood).ok());
    EXPECT_TRUE(Reaches("10.7.0.1")) << cut;
  }
}

TEST_F(KernelTest, WhatSomebodyTakesAwayComesBack) {
  ASSERT_TRUE(Execute(kGood).ok());
  executor_.Advance(absl::Minutes(1));
  ASSERT_EQ(Shell("ip addr del 10.7.0.1/24 dev lan0; ip link del br0; ip link set lan0 mtu 1300"),
            "");
  executor_.FdReady(network_->event_fd());
  executor_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Reaches("10.7.0.1"));
  EXPECT_THAT(Shell("ip route show"), HasSubstr("default via 10.7.0.2 dev lan0 proto 181"));
  EXPECT_THAT(Shell("ip addr show br0"), HasSubstr("10.8.0.1/24"));
  EXPECT_THAT(Shell("ip link show lan0"), HasSubstr("mtu 1400"));
}

}  // namespace
}  // namespace basalt::testing
