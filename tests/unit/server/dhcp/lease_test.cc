#include "server/dhcp/lease.h"

#include <gtest/gtest.h>

namespace basalt::dhcp {
namespace {

TEST(Lease, NamesOfALeaseBecomeResolvConf) {
  Lease lease = LeaseOf({{"interface", "eth0"},
                         {"new_domain_name_servers", "10.0.2.3 fd00::53 10.0.2.3"},
                         {"new_domain_name", "lab.example"},
                         {"new_domain_search", "a.example b.example"}});
  EXPECT_EQ(lease, FromText(ToText(lease)));
  EXPECT_EQ(ResolvConf({lease}),
            "# by noded: the machine config's, then those of leases\nsearch a.example b.example "
            "lab.example\nnameserver 10.0.2.3\n"
            "nameserver fd00::53\n");
  EXPECT_EQ(ResolvConf({}), "# by noded: the machine config's, then those of leases\n");
}

TEST(Lease, SeveralLinksShareTheThreePlaces) {
  Lease first = {.interface = "eth0", .servers = {"10.0.0.1", "10.0.0.2"}};
  Lease second = {.interface = "eth1", .servers = {"10.0.0.1", "10.1.0.1", "10.1.0.2"}};
  EXPECT_EQ(ResolvConf({first, second}),
            "# by noded: the machine config's, then those of leases\nnameserver "
            "10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.1.0.1\n");
}

TEST(Lease, P5_AHostileServerPutsNothingElseIntoTheFile) {
  Lease lease = LeaseOf(
      {{"interface", "eth0"},
       {"new_domain_name_servers", "10.0.0.1\nnameserver 6.6.6.6 1.2.3 ::g 10.0.0.300 10.0.0.1;x"},
       {"new_domain_name", "a\nnameserver 6.6.6.6"},
       {"new_domain_search", "-x .y $(reboot) a;b ok.example " + std::string(300, 'a')}});
  EXPECT_EQ(ResolvConf({lease}),
            "# by noded: the machine config's, then those of leases\nsearch ok.example\nnameserver "
            "6.6.6.6\n");
  for (const char* name : {"", "..", "../../etc/passwd", "a/b", "0123456789abcdef", "a b", "a\n"}) {
    EXPECT_EQ(LeaseOf({{"interface", name}}).interface, "") << name;
  }
}

TEST(Lease, P8_AnAddressEndsWhereItsTextDoes) {
  EXPECT_TRUE(FromText(std::string("servers 10.0.0.1\0\xf9x", 19)).servers.empty());
}

TEST(Lease, OnlyALeaseOrItsEndMatters) {
  EXPECT_EQ(ChangeOf({{"reason", "BOUND"}}), Change::kBound);
  EXPECT_EQ(ChangeOf({{"reason", "RENEW"}}), Change::kBound);
  EXPECT_EQ(ChangeOf({{"reason", "EXPIRE"}}), Change::kGone);
  EXPECT_EQ(ChangeOf({{"reason", "NOCARRIER"}}), Change::kGone);
  for (const char* other : {"PREINIT", "CARRIER", "ROUTERADVERT", "", "bound"}) {
    EXPECT_EQ(ChangeOf({{"reason", other}}), Change::kNone) << other;
  }
  EXPECT_EQ(ChangeOf({}), Change::kNone);
}

TEST(Lease, OneOfDhcpv6IsALeaseOfItsOwn) {
  const Environment six = {{"reason", "BOUND6"},
                           {"interface", "eth0"},
                           {"new_dhcp6_name_servers", "fd05::8 rubbish"},
                           {"new_dhcp6_domain_search", "six.example"},
                           {"new_dhcp6_sntp_servers", "fd05::9"}};
  EXPECT_EQ(ChangeOf(six), Change::kBound);
  EXPECT_TRUE(IsVersion6(six));
  EXPECT_FALSE(IsVersion6({{"reason", "BOUND"}}));
  EXPECT_EQ(ChangeOf({{"reason", "EXPIRE6"}}), Change::kGone);
  EXPECT_EQ(LeaseOf(six), (Lease{.interface = "eth0",
                                 .servers = {"fd05::8"},
                                 .search = {"six.example"},
                                 .time = {"fd05::9"}}));
}

TEST(Lease, TimeServersAreKeptForWhoeverKeepsTheClock) {
  const Lease lease = LeaseOf({{"interface", "eth0"}, {"new_ntp_servers", "10.0.0.1 x 10.0.0.2"}});
  EXPECT_EQ(lease.time, (std::vector<std::string>{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(FromText(ToText(lease)), lease);
  EXPECT_TRUE(IsLeaseFile("eth0.lease") && IsLeaseFile("eth0.lease6"));
  EXPECT_FALSE(IsLeaseFile("config") || IsLeaseFile("eth0.lease.new"));
}

}  // namespace
}  // namespace basalt::dhcp
