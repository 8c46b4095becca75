#include "server/k3s/network_links.h"

#include <gtest/gtest.h>

namespace basalt::k3s {
namespace {

std::vector<std::string> Names(const std::vector<NetworkLink>& links) {
  std::vector<std::string> names;
  for (const NetworkLink& link : LinksOfK3s(links)) names.push_back(link.name);
  return names;
}

TEST(NetworkLinks, WhatHangsOnTheBridgeGoesBeforeIt) {
  EXPECT_EQ(Names({{1, 0, "lo"},
                   {2, 0, "eth0"},
                   {3, 0, "flannel.1"},
                   {4, 0, "cni0"},
                   {5, 4, "veth3ef59991"},
                   {6, 9, "veth-other"},
                   {9, 0, "br0"}}),
            (std::vector<std::string>{"veth3ef59991", "cni0", "flannel.1"}));
}

TEST(NetworkLinks, WithoutABridgeNothingIsTakenForItsOwn) {
  EXPECT_TRUE(Names({{1, 0, "lo"}, {2, 0, "eth0"}, {3, 0, "cni0x"}, {4, 0, "flannel.10"}}).empty());
}

}  // namespace
}  // namespace basalt::k3s
