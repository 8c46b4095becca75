// The controller with fakes: who asks for leases, which files names are in, what is told of it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/coded_status.h"
#include "machineconfig/format/net.h"
#include "server/controllers/network/endpoints.h"
#include "server/controllers/network/network_controller.h"
#include "server/controllers/network/plan.h"
#include "server/controllers/network/tunnels.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/network/fake_filter.h"
#include "tests/support/network/fake_network.h"
#include "tests/support/supervisor/fake_supervisor.h"
#include "tests/support/vfs/fake_vfs.h"
#include "tests/unit/server/network/network_configs.h"

namespace basalt::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string Ip(const std::string& text) { return format::ParseIp(text)->bytes; }

class CountingRandom : public host::Random {
 public:
  std::string Bytes(size_t n) override { return std::string(n, static_cast<char>(++count_)); }

 private:
  int count_ = 0;
};

class ControllerTest : public ::testing::Test {
 protected:
  ControllerTest() {
    network_.AddDevice("eth0", "52:54:00:00:00:01");
    network_.AddDevice("eth1", "52:54:00:00:00:02");
    supervisor_.on_event = [this] {
      executor_.Post([this] {
        const auto events = supervisor_.Events(seen_);
        for (const host::ServiceEvent& event : *events) {
          seen_ = event.seq;
          controller_->OnServiceEvent(event);
        }
      });
    };
    Restart();
  }
  // As a new noded does.
  void Restart() {
    controller_.reset();
    controller_ = network::MakeNetworkController({.executor = executor_,
                                                  .vfs = vfs_,
                                                  .random = random_,
                                                  .supervisor = supervisor_,
                                                  .network = network_,
                                                  .filter = filter_,
                                                  .wireguard = wireguard_,
                                                  .resolve =
                                                      [this](const std::string& name) {
                                                        auto it = names_.find(name);
                                                        return it == names_.end() ? std::string()
                                                                                  : it->second;
                                                      },
                                                  .dhcp_program = "/bin/true",
                                                  .dhcp_hook = "/usr/bin/noded-dhcp"});
    controller_->SetOnChange([this] { ++changes_; });
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
  // The kernel tells of a change.
  void Look() {
    executor_.FdReady(network_.event_fd());
    executor_.Advance(absl::Seconds(1));
  }
  std::string File(const std::string& path) { return vfs_.Read(path).value_or("(none)"); }
  std::vector<std::string> Links() {
    const host::ServiceSpec* spec = supervisor_.Spec("dhcp");
    const host::ServiceStatus* status = supervisor_.Status("dhcp");
    if (spec == nullptr || status == nullptr || status->state == host::ServiceState::kStopped) {
      return {};
    }
    return {spec->argv.begin() + 6, spec->argv.end()};
  }
  engine::Condition Condition(const std::string& type) {
    for (const engine::Condition& c : controller_->Observe()) {
      if (c.type == type) return c;
    }
    return {};
  }
  v1::Link Link(const std::string& name) {
    for (const v1::Resource& resource : controller_->Resources()) {
      if (resource.name() == name) return resource.link();
    }
    return {};
  }

  FakeClock clock_;
  ManualExecutor executor_{clock_};
  FakeSupervisor supervisor_{clock_};
  FakeVfs vfs_;
  CountingRandom random_;
  FakeNetwork network_;
  FakePacketFilter filter_;
  FakeWireguard wireguard_;
  std::map<std::string, std::string> names_;
  uint64_t seen_ = 0;
  int changes_ = 0;
  std::unique_ptr<network::NetworkController> controller_;
};

TEST_F(ControllerTest, WithoutAConfigEveryWiredDeviceAsks) {
  controller_->Start();
  executor_.RunUntilIdle();
  EXPECT_THAT(Links(), ElementsAre("eth0", "eth1"));
  EXPECT_THAT(File("run/dhcpcd.conf"), HasSubstr("interface eth1\nipv4only\n"));
  EXPECT_THAT(File("run/etc/hosts"), HasSubstr("127.0.0.1 localhost\n"));
  EXPECT_THAT(controller_->Observe(), IsEmpty()) << "nothing was asked for";
  EXPECT_EQ(Link("eth0").state(), "up");
}

TEST_F(ControllerTest, AStaticAddressEndsTheClientAndItsLinkIsSetAfterwards) {
  controller_->Start();
  executor_.RunUntilIdle();
  ASSERT_TRUE(Execute("interfaces:\n- name: eth0\n  addresses: [192.168.1.10/24]\n"
                      "dns: {servers: [192.168.1.1], search: [lan.example.org]}")
                  .ok());
  EXPECT_THAT(Links(), IsEmpty());
  EXPECT_THAT(File("run/etc/resolv.conf"),
              HasSubstr("\nsearch lan.example.org\nnameserver 192.168.1.1\n"));
  EXPECT_TRUE(Condition("NetworkConfigured").holds);
  EXPECT_THAT(Link("eth0").addresses(), ElementsAre("192.168.1.10/24"));
}

TEST_F(ControllerTest, TheClientIsToldWhatTheConfigSaysAndKeptWhileThatStays) {
  const std::string network =
      "interfaces:\n- name: eth0\n  dhcp4: true\n  dhcp6: true\n"
      "  dhcp: {useDns: false, useRoutes: false, routeMetric: 200, clientId: \"pi 0\"}\n"
      "- name: eth1\n  dhcp4: true\n  dhcp: {sendHostname: false}";
  ASSERT_TRUE(Execute(network).ok());
  EXPECT_THAT(Links(), ElementsAre("eth0", "eth1"));
  EXPECT_EQ(File("run/dhcpcd.conf"),
            "# by noded\nduid 00:04:86:ad:03:72:48:19:1e:f0:c8:24:53:22:e1:f5:6d:3a\nnoipv4ll\n"
            "\ninterface eth0\nnoipv6rs\nia_na\noption ntp_servers\noption dhcp6_sntp_servers\n"
            "nogateway\nmetric 200\nclientid 00:70:69:20:30\nhostname n1\n"
            "\ninterface eth1\nipv4only\n"
            "option domain_name_servers\noption domain_name\noption domain_search\n"
            "option ntp_servers\noption classless_static_routes\n");
  const int pid = supervisor_.Status("dhcp")->pid;
  Restart();
  ASSERT_TRUE(Execute(network + "\nhosts: [{ip: 10.0.0.1, names: [nas]}]").ok());
  EXPECT_EQ(supervisor_.Status("dhcp")->pid, pid) << "a new noded takes it over";
  EXPECT_THAT(File("run/etc/hosts"), HasSubstr("127.0.1.1 n1\n10.0.0.1 nas\n"));
  ASSERT_TRUE(Execute("interfaces:\n- name: eth0\n  dhcp4: true").ok());
  EXPECT_NE(supervisor_.Status("dhcp")->pid, pid);
  EXPECT_THAT(Links(), ElementsAre("eth0"));
}

TEST_F(ControllerTest, ServersOfLeasesComeAfterThoseOfTheConfig) {
  ASSERT_TRUE(vfs_.MakeDirs("run/dhcp").ok());
  ASSERT_TRUE(
      vfs_.ReplaceVolatile("run/dhcp/eth0.lease", "interface eth0\nservers 10.0.0.1\n").ok());
  ASSERT_TRUE(Execute("interfaces:\n- name: eth0\n  dhcp4: true\ndns: {servers: [9.9.9.9]}").ok());
  EXPECT_THAT(File("run/etc/resolv.conf"), HasSubstr("nameserver 9.9.9.9\nnameserver 10.0.0.1\n"));
  EXPECT_THAT(File("run/dhcp/config"), HasSubstr("servers 9.9.9.9\n")) << "for noded-dhcp";
}

TEST_F(ControllerTest, AddressesAreAwaitedWhereThereIsACable) {
  network_.state.links[2].carrier = false;
  ASSERT_TRUE(
      Execute("interfaces:\n- name: eth0\n  dhcp4: true\n- name: eth1\n  dhcp4: true").ok());
  EXPECT_FALSE(Condition("AddressesAssigned").holds);
  EXPECT_EQ(Condition("AddressesAssigned").message, "no DHCP server has answered on eth0");
  network_.AddForeign(
      host::Address{.link = 2, .ip = Ip("10.0.0.9"), .prefix = 24, .permanent = false});
  const int before = changes_;
  Look();
  EXPECT_TRUE(Condition("AddressesAssigned").holds);
  EXPECT_GT(changes_, before);
  EXPECT_EQ(Link("eth1").state(), "no-carrier");
}

TEST_F(ControllerTest, DriftIsCorrectedAndAQuarrelGetsSlower) {
  ASSERT_TRUE(Execute("interfaces:\n- name: eth0\n  addresses: [192.168.1.10/24]").ok());
  network_.state.addresses.clear();
  Look();
  EXPECT_EQ(network_.state.addresses.size(), 1u);
  EXPECT_TRUE(Condition("NetworkConfigured").holds);
  // Somebody takes it away as often as it comes.
  int corrected = 0;
  for (int i = 0; i < 600; ++i) {
    corrected += network_.state.addresses.empty() ? 0 : 1;
    network_.state.addresses.clear();
    executor_.Advance(absl::Milliseconds(500));
  }
  EXPECT_GT(corrected, 5);
  EXPECT_LT(corrected, 20) << "in 5 minutes";
}

TEST_F(ControllerTest, ADeviceThatIsPluggedInLaterIsSetUpThen) {
  ASSERT_TRUE(Execute("interfaces:\n- name: eth7\n  dhcp4: true").ok());
  EXPECT_EQ(Condition("NetworkConfigured").code, "no-such-device");
  EXPECT_EQ(Link("eth7").state(), "missing");
  EXPECT_THAT(Links(), IsEmpty());
  network_.AddDevice("eth7", "52:54:00:00:00:07");
  Look();
  executor_.RunUntilIdle();
  EXPECT_TRUE(Condition("NetworkConfigured").holds);
  EXPECT_THAT(Links(), ElementsAre("eth7"));
}

TEST_F(ControllerTest, AnImageWithoutTheClientSaysSo) {
  controller_.reset();
  controller_ = network::MakeNetworkController({.executor = executor_,
                                                .vfs = vfs_,
                                                .random = random_,
                                                .supervisor = supervisor_,
                                                .network = network_,
                                                .filter = filter_,
                                                .wireguard = wireguard_,
                                                .dhcp_program = "/nonexistent",
                                                .dhcp_hook = "/x"});
  EXPECT_EQ(api::Reason(Execute("interfaces:\n- name: eth0\n  dhcp4: true")), "no-dhcp-client");
}

TEST_F(ControllerTest, TheFirewallIsSetWhenItDiffersAndRemovedWithItsSection) {
  const std::string network =
      "interfaces: [{name: eth0}]\nfirewall:\n  policy: drop\n  closed: [k3s]\n  rules:\n"
      "  - {name: api, protocol: tcp, ports: [6050], from: [192.168.1.0/24], interfaces: [eth0]}\n"
      "  - {name: bad, from: [\"fd00::/8\"], action: drop}";
  ASSERT_TRUE(Execute(network).ok());
  ASSERT_TRUE(filter_.policy);
  EXPECT_TRUE(filter_.policy->drop);
  EXPECT_EQ(filter_.policy->rules[0],
            (host::FilterRule{.name = "api",
                              .from = {{.ip = Ip("192.168.1.0"), .prefix = 24}},
                              .interfaces = {"eth0"},
                              .protocol = 6,
                              .ports = {{6050, 6050}}}));
  EXPECT_TRUE(filter_.policy->rules[1].drop);
  ASSERT_TRUE(Execute(network).ok());
  EXPECT_EQ(filter_.changes, 1) << "a node at rest changes nothing";
  filter_.policy->drop = false;
  Look();
  EXPECT_TRUE(filter_.policy->drop) << "drift";
  ASSERT_TRUE(Execute("interfaces: [{name: eth0}]").ok());
  EXPECT_FALSE(filter_.policy);
}

TEST_F(ControllerTest, ADiscoverableNodeIsAskedThroughItsFirewall) {
  v1::MachineConfig config =
      NetworkConfig("interfaces: [{name: eth0}]\nfirewall: {policy: drop, closed: [k3s, api]}");
  ASSERT_TRUE(Execute(&config).ok());
  ASSERT_TRUE(filter_.policy);
  EXPECT_TRUE(filter_.policy->rules.empty());
  config.mutable_api()->set_discoverable(true);
  ASSERT_TRUE(Execute(&config).ok());
  ASSERT_EQ(filter_.policy->rules.size(), 1u);
  EXPECT_EQ(filter_.policy->rules[0].ports, (std::vector<host::FilterPorts>{{5353, 5353}}));
  EXPECT_FALSE(filter_.policy->rules[0].drop);
}

TEST_F(ControllerTest, AFirewallThatTheKernelCannotHaveFailsTheApply) {
  filter_.kernel = absl::UnimplementedError("no nftables");
  EXPECT_TRUE(Execute("interfaces: [{name: eth0}]").ok());
  EXPECT_FALSE(Execute("firewall: {policy: accept}").ok());
}

constexpr char kTunnel[] =
    "interfaces:\n- name: wg0\n  addresses: [10.8.0.1/24]\n  wireguard:\n    listenPort: 51900\n"
    "    peers:\n    - name: office\n"
    "      publicKey: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n"
    "      endpoint: vpn.example.org:51820\n      allowedIps: [10.8.0.2/32]\n      keepalive: 25s";

TEST_F(ControllerTest, ATunnelHasAKeyOfTheNodeThatStaysAndIsShown) {
  ASSERT_TRUE(Execute(kTunnel).ok());
  const std::string key = File("state/wireguard/wg0.key");
  EXPECT_EQ(key.size(), 45u);
  EXPECT_EQ(wireguard_.tunnels["wg0"].private_key, network::KeyBytes(key.substr(0, 44)));
  EXPECT_EQ(wireguard_.tunnels["wg0"].listen_port, 51900);
  EXPECT_EQ(wireguard_.tunnels["wg0"].peers[0].keepalive, 25);
  EXPECT_EQ(Link("wg0").public_key(),
            network::KeyText(network::PublicKeyOf(wireguard_.tunnels["wg0"].private_key)));
  Restart();
  ASSERT_TRUE(Execute(kTunnel).ok());
  EXPECT_EQ(File("state/wireguard/wg0.key"), key);
  ASSERT_TRUE(Execute(nullptr).ok());
  EXPECT_EQ(network_.state.Find("wg0"), nullptr);
  bool erased = false;
  controller_->Erase([&](absl::Status status) { erased = status.ok(); });
  EXPECT_TRUE(erased);
  EXPECT_EQ(File("state/wireguard/wg0.key"), "(none)");
}

TEST_F(ControllerTest, ADamagedKeyIsNotReplaced) {
  ASSERT_TRUE(vfs_.MakeDirs("state/wireguard").ok());
  ASSERT_TRUE(vfs_.Replace("state/wireguard/wg0.key", "rubbish").ok());
  EXPECT_EQ(api::Reason(Execute(kTunnel)), "wireguard-key-damaged");
  EXPECT_EQ(File("state/wireguard/wg0.key"), "rubbish");
}

TEST_F(ControllerTest, AnEndpointThatHasNoAddressYetIsAskedForAgain) {
  ASSERT_TRUE(Execute(kTunnel).ok());
  EXPECT_EQ(wireguard_.tunnels["wg0"].peers[0].endpoint, "");
  names_["vpn.example.org"] = Ip("192.0.2.7");
  executor_.Advance(absl::Seconds(31));
  EXPECT_EQ(wireguard_.tunnels["wg0"].peers[0].endpoint, Ip("192.0.2.7"));
  EXPECT_EQ(wireguard_.tunnels["wg0"].peers[0].endpoint_port, 51820);
}

TEST_F(ControllerTest, ANewerExecuteWinsOverOneThatWaitsForTheClientsEnd) {
  ASSERT_TRUE(Execute("interfaces:\n- name: eth0\n  dhcp4: true").ok());
  supervisor_.obeys_stop = false;
  absl::Status first = absl::UnknownError("never done");
  const v1::MachineConfig a =
      NetworkConfig("interfaces:\n- name: eth0\n  addresses: [10.0.0.1/24]");
  controller_->Execute(&a, [&](absl::Status status) { first = status; });
  executor_.RunUntilIdle();
  absl::Status second = absl::UnknownError("never done");
  const v1::MachineConfig b =
      NetworkConfig("interfaces:\n- name: eth0\n  addresses: [10.0.0.2/24]");
  controller_->Execute(&b, [&](absl::Status status) { second = status; });
  executor_.RunUntilIdle();
  EXPECT_TRUE(absl::IsCancelled(first)) << first;
  supervisor_.Exit("dhcp", 0, 15);
  executor_.RunUntilIdle();
  EXPECT_TRUE(second.ok()) << second;
  ASSERT_EQ(network_.state.addresses.size(), 1u);
  EXPECT_EQ(network_.state.addresses[0].ip, Ip("10.0.0.2"));
}

std::vector<std::string> Steps(const v1::MachineConfig* from, const v1::MachineConfig& to) {
  std::vector<std::string> out;
  for (const engine::PlanStep& step : network::PlanNetwork(from, to, {}).steps) {
    EXPECT_EQ(step.effect, v1::EFFECT_LIVE);
    out.push_back(absl::StrCat(step.description, step.unimplemented.empty() ? "" : " (cannot)"));
  }
  return out;
}

TEST(NetworkPlan, IsWhatAPersonUnderstands) {
  const v1::MachineConfig a = NetworkConfig(
      "interfaces:\n- name: eth0\n  addresses: [192.168.1.10/24]\n  acceptRa: false\n"
      "  routes: [{to: default, via: 192.168.1.1}]\n"
      "- name: eth0.20\n  vlan: {link: eth0, id: 20}\n  dhcp4: true\n"
      "dns: {servers: [192.168.1.1]}");
  EXPECT_THAT(Steps(nullptr, a),
              ElementsAre("eth0: address 192.168.1.10/24, route default via 192.168.1.1",
                          "eth0.20: make the VLAN 20 on eth0, with DHCP, router advertisements",
                          "wired devices that the config does not name no longer ask for addresses",
                          "resolve names by 192.168.1.1"));
  EXPECT_THAT(Steps(&a, a), IsEmpty());
  const v1::MachineConfig b = NetworkConfig(
      "interfaces:\n- name: eth0\n  addresses: [192.168.1.11/24]\n  acceptRa: false\n"
      "  routes: [{to: default, via: 192.168.1.1}]\n"
      "hosts: [{ip: 10.0.0.1, names: [nas]}]\n"
      "firewall: {policy: drop, closed: [api]}");
  EXPECT_THAT(Steps(&a, b),
              ElementsAre("eth0.20: remove the VLAN 20 on eth0",
                          "eth0: add address 192.168.1.11/24; take away address 192.168.1.10/24",
                          "resolve names by the DNS servers that DHCP says",
                          "write /etc/hosts, with 1 entry of the config",
                          "firewall: 0 rules; connections that no rule accepts are dropped"));
  EXPECT_THAT(
      Steps(&b, NetworkConfig("dns: {servers: [1.1.1.1]}")),
      ElementsAre("eth0: undo what the config did to it",
                  "every wired device asks for addresses by DHCP and router advertisements",
                  "resolve names by 1.1.1.1", "write /etc/hosts, with 0 entries of the config",
                  "remove the firewall: every connection is accepted"));
}

TEST(NetworkPlan, WirelessNetworksAreRefusedWithAReason) {
  const v1::MachineConfig wifi = NetworkConfig(
      "interfaces:\n- name: wlan0\n  dhcp4: true\n"
      "  wifi: {ssid: home, psk: correct horse battery, country: AT}");
  const engine::ControllerPlan plan = network::PlanNetwork(nullptr, wifi, {});
  EXPECT_EQ(plan.steps[0].unimplemented, "the image has no program that joins wireless networks");
}

TEST(StaticEndpoints, AreTheAddressesOfTheConfigAtThePortsOfTheApi) {
  v1::MachineConfig config = NetworkConfig(
      "interfaces:\n- name: wg0\n  addresses: [10.8.0.1/24]\n  wireguard:\n    listenPort: 51900\n"
      "    peers: [{name: p, publicKey: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=, "
      "allowedIps: [10.8.0.2/32]}]\n"
      "- name: eth0\n  addresses: [192.168.1.10/24, \"fd00::10/64\"]");
  EXPECT_THAT(network::StaticEndpoints(config, "6050"),
              ElementsAre("192.168.1.10:6050", "[fd00::10]:6050", "10.8.0.1:6050"));
  config.mutable_api()->add_listen("0.0.0.0:7000");
  EXPECT_THAT(network::StaticEndpoints(config, "6050"),
              ElementsAre("192.168.1.10:7000", "[fd00::10]:7000", "10.8.0.1:7000"));
}

TEST(Tunnels, KeysAreThoseOfWg) {
  EXPECT_EQ(network::PublicKeyOf("short"), "");
  CountingRandom random;
  const std::string key = network::NewKey(random);
  EXPECT_EQ(key[0] & 7, 0);
  EXPECT_EQ(key[31] & 0xc0, 0x40);
  EXPECT_EQ(network::PublicKeyOf(key).size(), 32u);
  EXPECT_EQ(network::KeyBytes(network::KeyText(key)), key);
  EXPECT_EQ(network::KeyBytes("xTIBA5rboUvn"), "");
}

}  // namespace
}  // namespace basalt::testing
