// Messages of links that the kernel of a test may have no module for, and what is read of messages
// that are cut off. A request to make a link has the shape of the answer that describes it.
#include "server/host/route_messages.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstring>

#include "server/host/device_path.h"

namespace basalt::host {
namespace {

std::optional<Link> ReadBack(const NewLink& link) {
  std::string message = MakeMessage(link);
  const int index = 7;
  memcpy(message.data() + NLMSG_HDRLEN + offsetof(ifinfomsg, ifi_index), &index, sizeof index);
  return ReadLink(reinterpret_cast<const nlmsghdr*>(message.data()));
}

TEST(RouteMessages, AVlanABondAndABridgeAreReadAsTheyAreMade) {
  std::optional<Link> vlan =
      ReadBack({.name = "eth0.20", .kind = "vlan", .below = 3, .vlan_id = 20});
  ASSERT_TRUE(vlan);
  EXPECT_EQ(vlan->name, "eth0.20");
  EXPECT_EQ(vlan->kind, "vlan");
  EXPECT_EQ(vlan->below, 3);
  EXPECT_EQ(vlan->vlan_id, 20);
  const BondOptions options{.mode = 4, .miimon = 250, .lacp_fast = 1, .xmit_hash = 1};
  std::optional<Link> bond = ReadBack({.name = "bond0", .kind = "bond", .bond = options});
  ASSERT_TRUE(bond);
  EXPECT_EQ(bond->bond, options);
  std::optional<Link> bridge =
      ReadBack({.name = "br0", .kind = "bridge", .bridge = {.stp = true, .vlan_filtering = true}});
  ASSERT_TRUE(bridge);
  EXPECT_EQ(bridge->bridge, (BridgeOptions{.stp = true, .vlan_filtering = true}));
}

TEST(RouteMessages, APrimaryMemberIsNamedByItsIndex) {
  const auto messages = ChangeMessages(9, {.active = 4});
  ASSERT_EQ(messages.size(), 1u);
  // The message names no link, so it is read by its bytes: IFLA_BOND_PRIMARY (11), 4.
  const std::string attribute("\x08\x00\x0b\x00\x04\x00\x00\x00", 8);
  EXPECT_NE(messages[0].second.find(attribute), std::string::npos);
}

TEST(RouteMessages, WhatIsCutOffReadsAsNothing) {
  for (std::string message :
       {MakeMessage({.name = "eth0.20", .kind = "vlan", .below = 3, .vlan_id = 20}),
        AddressMessage({.link = 3, .ip = std::string("\x0a\x00\x00\x01", 4), .prefix = 24}, true),
        RouteMessage({.to = std::string(4, '\0'), .via = "\x0a\x01\x01\x01", .link = 3}, true),
        RuleMessage({.from = "\x0a\x01\x01\x01", .from_prefix = 32, .link = "eth0"}, true)}) {
    for (uint32_t size = NLMSG_HDRLEN; size < message.size(); ++size) {
      std::string cut = message.substr(0, size);
      memcpy(cut.data(), &size, sizeof size);
      const auto* header = reinterpret_cast<const nlmsghdr*>(cut.data());
      ReadLink(header);
      ReadAddress(header);
      ReadRoute(header);
      ReadRule(header);
      ReadBridgeVlans(header);
    }
  }
}

TEST(RouteMessages, AMacAddressIsSixBytes) {
  EXPECT_EQ(MacText(MacBytes("52:54:00:00:00:01")), "52:54:00:00:00:01");
  EXPECT_EQ(MacBytes("52:54:00:00:00"), "");
  EXPECT_EQ(MacBytes("52:54:00:00:00:01:02"), "");
  EXPECT_EQ(MacText("abc"), "");
}

TEST(IdPath, IsWhereADeviceIsPluggedInAsUdevNamesIt) {
  EXPECT_EQ(IdPath({{"virtio", "virtio0"}, {"pci", "0000:00:03.0"}}), "pci-0000:00:03.0");
  EXPECT_EQ(IdPath({{"pci", "0000:02:00.1"}, {"pci", "0000:00:1c.0"}}), "pci-0000:02:00.1");
  EXPECT_EQ(IdPath({{"usb", "1-1.2:1.0"},
                    {"usb", "1-1.2"},
                    {"usb", "1-1"},
                    {"usb", "usb1"},
                    {"pci", "0000:00:14.0"}}),
            "pci-0000:00:14.0-usb-0:1.2:1.0");
  EXPECT_EQ(IdPath({{"platform", "fd580000.ethernet"}}), "platform-fd580000.ethernet");
  EXPECT_EQ(IdPath({}), "");
}

}  // namespace
}  // namespace basalt::host
