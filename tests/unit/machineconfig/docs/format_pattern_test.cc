// A pattern may be looser than the checker of its format and never stricter: an editor must not
// mark what a node takes.
#include "machineconfig/docs/format_pattern.h"

#include <gtest/gtest.h>
#include <re2/re2.h>

#include <map>
#include <string>
#include <vector>

#include "machineconfig/format/format.h"

namespace basalt::docs {
namespace {

const std::map<v1::Format, std::vector<std::string>>& Good() {
  static const auto* const good = new std::map<v1::Format, std::vector<std::string>>{
      {v1::FORMAT_DURATION, {"5m", "1h30m", "1.5s", "250ms", "1h2m3s4ms", "2.h", ".5h"}},
      {v1::FORMAT_QUANTITY, {"0", "100", "512Mi", "2G", "7k", "3Ti"}},
      {v1::FORMAT_CIDR, {"10.42.0.0/16", "fd00::/64", "0.0.0.0/0", "::/0", "FD00::/8"}},
      {v1::FORMAT_IP, {"192.168.1.10", "fd00::1", "::ffff:10.0.0.1", "FE80::1"}},
      {v1::FORMAT_HOSTNAME, {"a", "pi-server-0", "0", std::string(63, 'a')}},
      {v1::FORMAT_DNS_NAME, {"a", "node-1.example.org", "1.2", std::string(63, 'b') + ".c"}},
      {v1::FORMAT_URL,
       {"https://example.org/k3s?x=1", "http://[::1]:8080/a", "file:///media/k3s",
        "https://a/b@c"}},
      {v1::FORMAT_HTTPS_URL, {"https://pi-server-0:6443"}},
      {v1::FORMAT_HOST_PORT, {"0.0.0.0:6050", "[::1]:6050", ":6050", "Node-1.lan:1"}},
      {v1::FORMAT_TIMESTAMP, {"2026-11-23T22:15:00Z", "2026-11-23T22:15:00.123456789Z"}},
      {v1::FORMAT_SHA256, {std::string(64, 'a')}},
      {v1::FORMAT_DIGEST, {"sha256:" + std::string(64, '0')}},
      {v1::FORMAT_K3S_VERSION, {"v1.30.4+k3s1", "v1.31.0-rc2+k3s10"}},
      {v1::FORMAT_LABEL_KEY, {"a", "topology.kubernetes.io/zone", "A_b.c", "x/Y"}},
      {v1::FORMAT_LABEL_VALUE, {"", "a", "A_b.c-d"}},
      {v1::FORMAT_TAINT, {"a:NoSchedule", "dedicated=db:PreferNoSchedule", "x.io/a=:NoExecute"}},
      {v1::FORMAT_FILE_NAME, {"traefik-config", "_a", "a.b", std::string(128, 'a')}},
      {v1::FORMAT_CRON, {"0 */12 * * *", "0,30 1-5 * jan mon"}},
      {v1::FORMAT_ENV_NAME, {"HTTPS_PROXY", "_a1"}},
      {v1::FORMAT_IP_OR_DNS, {"192.168.1.10", "k3s.example.org", "FD00::1"}},
      {v1::FORMAT_IP_PREFIX, {"192.168.1.10/24", "FD00::10/64", "10.0.0.1/32"}},
      {v1::FORMAT_MAC, {"dc:a6:32:01:02:03"}},
      {v1::FORMAT_INTERFACE, {"eth0", "eth0.20", "_x", "8a"}},
      {v1::FORMAT_ROUTE, {"default", "10.0.0.0/8", "::/0"}},
      {v1::FORMAT_PORTS, {"6443", "30000-32767"}},
      {v1::FORMAT_WIREGUARD_KEY, {"yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="}},
      {v1::FORMAT_SYSCTL, {"vm.swappiness", "net.ipv4.conf.eth0/20.rp_filter"}},
      {v1::FORMAT_LINE, {"", "a b", "\xc3\xa9"}},
      {v1::FORMAT_KERNEL_ARGUMENT, {"quiet", "a.b=c=d", "_x"}},
      {v1::FORMAT_MODULE, {"8021q", "br_netfilter"}},
      {v1::FORMAT_PATH, {"/a", "/var/lib/.x"}},
      {v1::FORMAT_TIME_OF_DAY, {"00:00", "23:59"}},
      {v1::FORMAT_TIME_ZONE, {"UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+1"}},
      {v1::FORMAT_SINK_URL, {"https://a/b", "syslog+tls://[fd00::5]:6514"}},
      {v1::FORMAT_PUBLIC_KEY,
       {"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me", "ecdsa-sha2-nistp256 AAAAE2Vj",
        " ssh-ed25519  AAAA"}},
  };
  return *good;
}

TEST(FormatPattern, TakesEverythingThatTheCheckerTakes) {
  for (const auto& [format, texts] : Good()) {
    for (const std::string& text : texts) {
      EXPECT_TRUE(format::Check(format, text).ok()) << v1::Format_Name(format) << " " << text;
      EXPECT_TRUE(RE2::PartialMatch(text, RE2(std::string(PatternOf(format)))))
          << v1::Format_Name(format) << " " << text;
    }
  }
}

TEST(FormatPattern, FindsTheUsualMistakes) {
  for (const auto& [format, text] : std::vector<std::pair<v1::Format, std::string>>{
           {v1::FORMAT_DURATION, "5"},
           {v1::FORMAT_CIDR, "10.42.0.0"},
           {v1::FORMAT_HOSTNAME, "Pi_0"},
           {v1::FORMAT_URL, "example.org/k3s"},
           {v1::FORMAT_HTTPS_URL, "http://a"},
           {v1::FORMAT_HOST_PORT, "0.0.0.0"},
           {v1::FORMAT_TIMESTAMP, "2026-11-23"},
           {v1::FORMAT_SHA256, "sha256:" + std::string(64, 'a')},
           {v1::FORMAT_DIGEST, std::string(64, 'a')},
           {v1::FORMAT_PEM_CERTS, "ca.crt"},
           {v1::FORMAT_K3S_VERSION, "1.30.4"},
           {v1::FORMAT_TAINT, "a=b"},
           {v1::FORMAT_FILE_NAME, "../a"},
           {v1::FORMAT_CRON, "@daily"},
           {v1::FORMAT_ENV_NAME, "1A"},
           {v1::FORMAT_IP_PREFIX, "192.168.1.10"},
           {v1::FORMAT_MAC, "DC:A6:32:01:02:03"},
           {v1::FORMAT_INTERFACE, "a-name-of-sixteen"},
           {v1::FORMAT_ROUTE, "10.0.0.1"},
           {v1::FORMAT_PORTS, "http"},
           {v1::FORMAT_WIREGUARD_KEY, "AAAA"},
           {v1::FORMAT_SYSCTL, "swappiness"},
           {v1::FORMAT_KERNEL_ARGUMENT, "a b"},
           {v1::FORMAT_MODULE, "loop.ko"},
           {v1::FORMAT_PATH, "var/lib"},
           {v1::FORMAT_TIME_OF_DAY, "24:00"},
           {v1::FORMAT_TIME_ZONE, "CET"},
           {v1::FORMAT_SINK_URL, "logs.example.org"}}) {
    EXPECT_FALSE(format::Check(format, text).ok()) << text;
    EXPECT_FALSE(RE2::PartialMatch(text, RE2(std::string(PatternOf(format)))))
        << v1::Format_Name(format) << " " << text;
  }
}

// What ECMA-262 with its u flag, Python and RE2 all read.
TEST(FormatPattern, EveryPatternIsRegular) {
  for (int i = 1; i < v1::Format_descriptor()->value_count(); ++i) {
    const auto format = static_cast<v1::Format>(v1::Format_descriptor()->value(i)->number());
    EXPECT_TRUE(RE2(std::string(PatternOf(format)), RE2::Quiet).ok()) << v1::Format_Name(format);
  }
}

}  // namespace
}  // namespace basalt::docs
