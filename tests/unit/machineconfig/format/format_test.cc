#include "machineconfig/format/format.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "machineconfig/format/k3s_version.h"
#include "machineconfig/format/net.h"
#include "machineconfig/format/quantity.h"
#include "machineconfig/format/time.h"

namespace basalt::format {
namespace {

const std::string kHash(64, 'a');

struct Case {
  v1::Format format;
  std::vector<std::string> good;
  std::vector<std::string> bad;
};

const Case kCases[] = {
    {v1::FORMAT_DURATION,
     {"5m", "1h30m", "500ms", "1.5s", "8760h"},
     {"", "5", "-5m", "inf", "0s", "5 m", "5us", "m", "8761h", "+5m", "99999999999999999999h"}},
    {v1::FORMAT_QUANTITY,
     {"0", "100", "512Mi", "2G", "1Ti"},
     {"", "Mi", "-1", "1.5G", "1 G", "1KiB", "9999999999T", "0x10"}},
    {v1::FORMAT_CIDR,
     {"10.42.0.0/16", "fd00::/64", "0.0.0.0/0", "1.2.3.4/32"},
     {"", "10.42.0.0", "10.42.0.1/16", "10.0.0.0/33", "10.0.0.0/016", "fd00::1/64", "a/8", "/8"}},
    {v1::FORMAT_IP,
     {"192.168.1.1", "::1", "fd00::10"},
     {"", "192.168.1", "192.168.1.256", "01.2.3.4", "::1%eth0", "[::1]", std::string("::1\0x", 5),
      "10.0.0.0/8"}},
    {v1::FORMAT_HOSTNAME,
     {"pi-server-0", "a", "007"},
     {"", "-a", "a-", "A", "a.b", "a_b", std::string(64, 'a'), "a\nb", "\xc3\xa9"}},
    {v1::FORMAT_DNS_NAME,
     {"node-1.example.org", "a"},
     {"", ".", "a..b", "a.", ".a", std::string(254, 'a'), "a b"}},
    {v1::FORMAT_URL,
     {"https://example.org/k3s", "http://10.0.0.1:8080/x?y=z", "file:///media/k3s",
      "https://[::1]:6443", "https://example.org/v1.30.4%2Bk3s1/k3s"},
     {"", "example.org", "ftp://x/y", "https://", "https://u:p@x/", "https://x/#f", "https://x y/",
      "https://x/\n", "file://host/x", "file:///a/../b", "https://x:0/", "https://x:99999/",
      "https://10.0.0.300/", "javascript:alert(1)", "https://[::1/",
      "https://x/" + std::string(2048, 'a')}},
    {v1::FORMAT_HTTPS_URL, {"https://pi-0:6443"}, {"http://pi-0:6443", "file:///x"}},
    {v1::FORMAT_HOST_PORT,
     {"0.0.0.0:6050", "[::1]:6050", ":6050", "node-1.lan:1"},
     {"", "6050", "0.0.0.0", "::1:6050", "x:", "x:0", "x:65536", "x:06050", "[x]:1", "a b:1"}},
    {v1::FORMAT_TIMESTAMP,
     {"2026-11-23T22:15:00Z", "2028-02-29T00:00:00.123456789Z"},
     {"", "2026-11-23", "2026-11-23T22:15:00", "2026-11-23T22:15:00+01:00", "2026-02-30T00:00:00Z",
      "2026-11-23 22:15:00Z", "2026-13-01T00:00:00Z", "2026-11-23T24:00:00Z",
      "1969-12-31T23:59:59Z", "2026-11-23T22:15:60Z", "2026-11-23T22:15:00.Z",
      "2026-11-23T22:15:0aZ"}},
    {v1::FORMAT_SHA256, {kHash}, {"", kHash + "a", std::string(64, 'A'), "sha256:" + kHash}},
    {v1::FORMAT_DIGEST, {"sha256:" + kHash}, {"", kHash, "sha256:" + kHash + "a"}},
    {v1::FORMAT_PEM_CERTS,
     {},
     {"", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
      "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}},
    {v1::FORMAT_PUBLIC_KEY,
     {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me@home",
      "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n"},
     {"", "ssh-rsa AAAAB3NzaC1yc2E=", "ssh-ed25519 xyz", "RWQ=", "a\nb"}},
    {v1::FORMAT_K3S_VERSION,
     {"v1.30.4+k3s1", "v1.31.0-rc2+k3s1"},
     {"", "1.30.4+k3s1", "v1.30.4", "v1.30+k3s1", "v1.30.4+k3s", "v1.30.4+k3s-3f4a91c0",
      "v01.30.4+k3s1", "v1.30.4+k3s1 ", "v1.30.4-rc0+k3s1", "v1.9999999.4+k3s1"}},
    {v1::FORMAT_LABEL_KEY,
     {"site", "topology.kubernetes.io/zone", "a_b.C"},
     {"", "/a", "a/", "A.org/x", "-a", std::string(64, 'a'), "a/b/c"}},
    {v1::FORMAT_LABEL_VALUE, {"", "lab", "a.B_c-1"}, {"-", "a b", std::string(64, 'a'), "a/b"}},
    {v1::FORMAT_TAINT,
     {"a=b:NoSchedule", "example.org/a:NoExecute", "a=:PreferNoSchedule"},
     {"", "a=b", "a:Never", ":NoSchedule", "a=b=c:NoSchedule", "=b:NoSchedule"}},
    {v1::FORMAT_FILE_NAME,
     {"traefik-config", "a.b_c"},
     {"", "..", "../x", "a/b", "/etc/passwd", ".hidden", "-rf", std::string(129, 'a'),
      std::string("a\0b", 3), "a\nb", std::string(4096, 'a')}},
    {v1::FORMAT_CRON,
     {"0 */12 * * *", "*/5 0-6,20 1 jan-mar MON", "0 0 * * 7"},
     {"", "@daily", "* * * *", "60 * * * *", "* * 0 * *", "a * * * *", "*/0 * * * *", "5-1 * * * *",
      "1,,2 * * * *", "* * * * * *"}},
    {v1::FORMAT_ENV_NAME, {"HTTPS_PROXY", "_x"}, {"", "1A", "A-B", "A=B", "A\n"}},
    {v1::FORMAT_IP_OR_DNS,
     {"192.168.1.1", "k3s.example.org", "::1"},
     {"", "300.1.1.1", "a b", "*.x"}},
    {v1::FORMAT_IP_PREFIX,
     {"192.168.1.10/24", "fd00::10/64", "10.0.0.1/32", "10.0.0.0/31", "10.0.0.1/31", "fd00::/127",
      "fd00::1/128", "192.168.0.255/23"},
     {"", "192.168.1.10", "192.168.1.0/24", "192.168.1.255/24", "fd00::/64", "10.0.0.1/33",
      "10.0.0.1/0", "10.0.0.1/024", "127.0.0.1/8", "224.0.0.1/24", "ff02::1/64", "0.0.0.1/8",
      "a/24", "10.0.0.1/24/24", std::string("10.0.0.1/24\0", 12)}},
    {v1::FORMAT_MAC,
     {"dc:a6:32:01:02:03", "02:00:00:00:00:0a"},
     {"", "DC:A6:32:01:02:03", "dc-a6-32-01-02-03", "dca632010203", "dc:a6:32:01:02",
      "dc:a6:32:01:02:0g", "00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"}},
    {v1::FORMAT_INTERFACE,
     {"eth0", "enp1s0f1np1", "eth0.20", "br-lan", "a", "_x"},
     {"", "12", "a-name-of-sixteen", "eth/0", "eth 0", "..", ".a", "-a", "eth0:1", "\xc3\xa9th"}},
    {v1::FORMAT_ROUTE,
     {"default", "10.20.0.0/16", "0.0.0.0/0", "::/0"},
     {"", "Default", "10.20.0.1/16", "10.20.0.0", "everywhere"}},
    {v1::FORMAT_PORTS,
     {"1", "6443", "30000-32767", "65535", "80-80"},
     {"", "0", "65536", "80-22", "-80", "80-", "http", "80,443", "1-2-3", "080"}},
    {v1::FORMAT_WIREGUARD_KEY,
     {"yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="},
     {"", "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk", "AAAA",
      "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBml=", std::string(64, 'a')}},
    {v1::FORMAT_SYSCTL,
     {"vm.swappiness", "net.ipv4.conf.eth0/20.rp_filter", "fs.inotify.max_user_watches",
      "net.bridge.bridge-nf-call-iptables"},
     {"", "swappiness", "vm", "vm.", ".vm.x", "vm..x", "net/ipv4/ip_forward", "etc.passwd",
      "net.../../etc/passwd", "net./x", "net.x/", "net.a//b", "vm.a b", "vm.a\n"}},
    {v1::FORMAT_LINE,
     {"", "Samsung SSD 980*", "\xc3\xa9"},
     {"a\nb", "a\tb", std::string("a\0b", 3)}},
    {v1::FORMAT_KERNEL_ARGUMENT,
     {"quiet", "console=ttyS0,115200n8", "pcie_aspm=off", "usbcore.quirks=1:2:u", "a=b=c"},
     {"", "a b", "a=\"b c\"", "a='b'", "=x", "-a", "a\n", "a=\\x", std::string(257, 'a')}},
    {v1::FORMAT_MODULE,
     {"br_netfilter", "nf-tables", "8021q"},
     {"", "loop.ko", "../loop", "a b", "-a", std::string(65, 'a')}},
    {v1::FORMAT_PATH,
     {"/var/lib/longhorn", "/a", "/var/mnt/a.b_c"},
     {"", "/", "var", "/var/", "/var//x", "/var/../etc", "/var/./x", "/var/..", "/a b", "/a\n",
      "/-rf", std::string("/a\0b", 4), "/" + std::string(255, 'a')}},
    {v1::FORMAT_TIME_OF_DAY,
     {"00:00", "23:59", "02:30"},
     {"", "24:00", "2:30", "02:60", "02:30:00", "0230", "2am", "-1:00", "02 30"}},
    {v1::FORMAT_TIME_ZONE,
     {"UTC", "Europe/Vienna", "America/Argentina/Buenos_Aires", "Etc/GMT+1"},
     {"", "CET", "utc", "Vienna", "Europe/", "europe/vienna", "Europe/../x", "Europe//x", "Mars/A",
      "Europe/Vienna "}},
    {v1::FORMAT_SINK_URL,
     {"https://logs.example.org/x", "http://10.0.0.1:8080/", "syslog+tls://logs.example.org:6514",
      "syslog+tcp://[fd00::5]:514", "syslog+udp://10.0.0.1:514"},
     {"", "logs.example.org", "file:///x", "syslog://x:514", "syslog+tls://x", "syslog+tls://:514",
      "syslog+tls://x:514/y", "syslog+tcp://a b:1", "https://u:p@x/"}},
    {v1::FORMAT_UNSPECIFIED, {"", "anything"}, {}},
};

// P5: path-like and host-like fields take no way out of their place and no control
// characters.
TEST(Format, P5_EachFormatTakesTheGoodAndRefusesTheBad) {
  for (const Case& c : kCases) {
    for (const std::string& text : c.good) {
      EXPECT_TRUE(Check(c.format, text).ok()) << v1::Format_Name(c.format) << " " << text;
    }
    for (const std::string& text : c.bad) {
      const absl::Status status = Check(c.format, text);
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument)
          << v1::Format_Name(c.format) << " takes " << text;
    }
  }
}

TEST(Format, EveryFormatOfTheSchemaIsCovered) {
  for (int i = v1::Format_MIN; i <= v1::Format_MAX; ++i) {
    bool found = false;
    for (const Case& c : kCases) found = found || c.format == i;
    EXPECT_TRUE(found) << v1::Format_Name(static_cast<v1::Format>(i));
  }
}

TEST(Format, ErrorsNeverRepeatTheValue) {
  for (const Case& c : kCases) {
    const absl::Status status = Check(c.format, "hunter2 hunter2");
    EXPECT_EQ(std::string(status.message()).find("hunter2"), std::string::npos) << status;
  }
}

TEST(Format, APrivateKeyAmongCertificatesIsNamed) {
  const absl::Status status =
      Check(v1::FORMAT_PEM_CERTS, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  EXPECT_NE(std::string(status.message()).find("private key"), std::string::npos);
}

TEST(Duration, ReadsGoStyle) {
  EXPECT_EQ(*ParseDuration("1h30m"), absl::Minutes(90));
  EXPECT_EQ(*ParseDuration("500ms"), absl::Milliseconds(500));
}

TEST(Timestamp, RoundTripsThroughText) {
  const auto time = ParseTimestamp("2026-11-23T22:15:00Z");
  ASSERT_TRUE(time.ok());
  EXPECT_EQ(FormatTimestamp(*time), "2026-11-23T22:15:00Z");
  EXPECT_EQ(*ParseTimestamp("1970-01-01T00:00:01.5Z"),
            absl::UnixEpoch() + absl::Milliseconds(1500));
  EXPECT_EQ(absl::ToUnixSeconds(*ParseTimestamp("2106-02-07T06:28:16Z")), int64_t{1} << 32);
}

TEST(Quantity, CountsBytes) {
  EXPECT_EQ(*ParseQuantity("512Mi"), 512 << 20);
  EXPECT_EQ(*ParseQuantity("2k"), 2000);
}

TEST(K3sVersion, OrdersAsReleased) {
  const char* const kOrder[] = {"v1.21.2+k3s1", "v1.30.4-rc1+k3s1", "v1.30.4-rc2+k3s1",
                                "v1.30.4+k3s1", "v1.30.4+k3s2",     "v1.30.10+k3s1",
                                "v1.31.0+k3s1"};
  for (size_t i = 0; i + 1 < std::size(kOrder); ++i) {
    EXPECT_LT(*ParseK3sVersion(kOrder[i]), *ParseK3sVersion(kOrder[i + 1])) << kOrder[i];
    EXPECT_EQ(ParseK3sVersion(kOrder[i])->ToString(), kOrder[i]);
  }
}

TEST(Net, SplitsUrlsAndAddresses) {
  const auto url = ParseUrl("https://[fd00::1]:6443/x?y");
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(url->host, "fd00::1");
  EXPECT_EQ(url->port, 6443);
  EXPECT_EQ(url->path, "/x?y");
  EXPECT_EQ(*ParseHostPort("[::1]:6050"), (HostPort{.host = "::1", .port = 6050}));
  EXPECT_EQ(*ParseHostPort(":6050"), (HostPort{.host = "", .port = 6050}));
}

TEST(Net, AnAddressKnowsItsNetwork) {
  const auto address = ParseIpPrefix("192.168.1.10/25");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->address, *ParseIp("192.168.1.10"));
  EXPECT_EQ(address->Network(), *ParseCidr("192.168.1.0/25"));
  EXPECT_EQ(ParseIpPrefix("fd00::10/64")->Network(), *ParseCidr("fd00::/64"));
}

TEST(Net, WhatIsWrongWithAnAddressIsSaid) {
  auto says = [](absl::string_view text) {
    return std::string(ParseIpPrefix(text).status().message());
  };
  EXPECT_NE(says("192.168.1.10").find("length of the network is missing"), std::string::npos);
  EXPECT_NE(says("192.168.1.0/24").find("of the network itself"), std::string::npos);
  EXPECT_NE(says("192.168.1.255/24").find("of all hosts"), std::string::npos);
}

TEST(Net, PortsAndSinksAreSplit) {
  EXPECT_EQ(ParsePorts("30000-32767")->first, 30000);
  EXPECT_EQ(ParsePorts("443")->last, 443);
  const auto sink = ParseSinkUrl("syslog+tls://[fd00::5]:6514");
  ASSERT_TRUE(sink.ok());
  EXPECT_EQ(sink->scheme, "syslog+tls");
  EXPECT_EQ(sink->host, "fd00::5");
  EXPECT_EQ(sink->port, 6514);
}

TEST(TimeOfDay, CountsMinutes) { EXPECT_EQ(*ParseTimeOfDay("23:59"), 1439); }

TEST(Net, ANetworkContainsItsAddressesOnly) {
  const auto net = ParseCidr("192.168.1.0/25");
  ASSERT_TRUE(net.ok());
  EXPECT_TRUE(net->Contains(*ParseIp("192.168.1.127")));
  EXPECT_FALSE(net->Contains(*ParseIp("192.168.1.128")));
  EXPECT_FALSE(net->Contains(*ParseIp("::1")));
  EXPECT_TRUE(ParseCidr("::/0")->Contains(*ParseIp("fd00::1")));
}

}  // namespace
}  // namespace basalt::format
