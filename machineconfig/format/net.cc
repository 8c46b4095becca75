#include "machineconfig/format/net.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace basalt::format {
namespace {

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }

bool AllDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

absl::StatusOr<uint16_t> ParsePort(absl::string_view text) {
  uint32_t port = 0;
  if (!AllDigits(text) || text.size() > 5 || text[0] == '0' || !absl::SimpleAtoi(text, &port) ||
      port > 65535) {
    return Bad("the port must be a number from 1 to 65535");
  }
  return static_cast<uint16_t>(port);
}

// A DNS name, an IPv4 address or, in brackets, an IPv6 address. Gives it without the brackets.
absl::StatusOr<std::string> ParseHost(absl::string_view text) {
  if (absl::ConsumePrefix(&text, "[")) {
    if (!absl::ConsumeSuffix(&text, "]")) return Bad("`[` without `]`");
    auto ip = ParseIp(text);
    if (!ip.ok() || !ip->v6()) return Bad("between brackets stands an IPv6 address, as in [::1]");
    return std::string(text);
  }
  // What looks like an IPv4 address has to be one: 10.0.0.300 is no host name.
  if (text.find_first_not_of("0123456789.") == absl::string_view::npos && !ParseIp(text).ok()) {
    return Bad("not an IP address");
  }
  if (!IsDnsName(absl::AsciiStrToLower(text))) return Bad("not a host name or IP address");
  return std::string(text);
}

}  // namespace

std::string IpAddress::ToString() const {
  char buffer[INET6_ADDRSTRLEN] = "";
  inet_ntop(v6() ? AF_INET6 : AF_INET, bytes.data(), buffer, sizeof(buffer));
  return buffer;
}

absl::StatusOr<IpAddress> ParseIp(absl::string_view text) {
  const std::string copy(text);
  IpAddress out;
  // An embedded NUL would end the C string early.
  if (copy.size() <= 45 && copy.find('\0') == std::string::npos) {
    out.bytes.resize(4);
    if (inet_pton(AF_INET, copy.c_str(), out.bytes.data()) == 1) return out;
    out.bytes.resize(16);
    if (inet_pton(AF_INET6, copy.c_str(), out.bytes.data()) == 1) return out;
  }
  return Bad("not an IP address, such as 192.168.1.10 or fd00::1");
}

namespace {

// Its bits behind the prefix are zero.
IpAddress Base(IpAddress address, int prefix) {
  for (int bit = prefix; bit < static_cast<int>(address.bytes.size()) * 8; ++bit) {
    address.bytes[bit / 8] = static_cast<char>(address.bytes[bit / 8] & ~(0x80 >> (bit % 8)));
  }
  return address;
}

bool SplitPrefix(absl::string_view text, IpAddress& address, int& prefix) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '/');
  if (parts.size() != 2 || !AllDigits(parts[1]) || parts[1].size() > 3 ||
      (parts[1].size() > 1 && parts[1][0] == '0')) {
    return false;
  }
  auto ip = ParseIp(parts[0]);
  if (!ip.ok()) return false;
  address = *std::move(ip);
  return absl::SimpleAtoi(parts[1], &prefix);
}

}  // namespace

bool Cidr::Contains(const IpAddress& address) const {
  if (address.bytes.size() != network.bytes.size()) return false;
  for (int bit = 0; bit < prefix; ++bit) {
    const int mask = 0x80 >> (bit % 8);
    if ((address.bytes[bit / 8] & mask) != (network.bytes[bit / 8] & mask)) return false;
  }
  return true;
}

absl::StatusOr<Cidr> ParseCidr(absl::string_view text) {
  const char* const kExample = "not a network: ADDRESS/PREFIX, such as 10.42.0.0/16 or fd00::/64";
  Cidr out;
  if (!SplitPrefix(text, out.network, out.prefix)) return Bad(kExample);
  if (out.prefix > (out.network.v6() ? 128 : 32)) {
    return Bad("the prefix of a network is at most 32 for IPv4 and 128 for IPv6");
  }
  const IpAddress base = Base(out.network, out.prefix);
  if (!(base == out.network)) {
    return Bad(absl::StrCat("the address has bits behind the prefix; the network is ",
                            base.ToString(), "/", out.prefix));
  }
  return out;
}

Cidr IpPrefix::Network() const { return {.network = Base(address, prefix), .prefix = prefix}; }

absl::StatusOr<IpPrefix> ParseIpPrefix(absl::string_view text) {
  IpPrefix out;
  if (!SplitPrefix(text, out.address, out.prefix)) {
    return Bad(ParseIp(text).ok()
                   ? "the length of the network is missing: ADDRESS/PREFIX, such as 192.168.1.10/24"
                   : "not an address with its network: ADDRESS/PREFIX, such as 192.168.1.10/24 or "
                     "fd00::10/64");
  }
  const int bits = out.address.v6() ? 128 : 32;
  if (out.prefix < 1 || out.prefix > bits) {
    return Bad("the prefix of an address is from 1 to 32 for IPv4 and to 128 for IPv6");
  }
  // Of two addresses (RFC 3021, RFC 6164) or one, each is a host's.
  if (out.prefix < bits - 1) {
    if (Base(out.address, out.prefix) == out.address) {
      return Bad("is the address of the network itself; write that of this node in it");
    }
    bool all_ones = !out.address.v6();
    for (int bit = out.prefix; bit < bits; ++bit) {
      all_ones = all_ones && (out.address.bytes[bit / 8] & (0x80 >> (bit % 8))) != 0;
    }
    if (all_ones) return Bad("is the address of all hosts of the network; write that of this node");
  }
  const auto first = static_cast<unsigned char>(out.address.bytes[0]);
  if (out.address.v6() ? first == 0xFF : first == 0 || first == 127 || first >= 224) {
    return Bad("is not an address of a host: loopback, multicast and reserved ones are refused");
  }
  return out;
}

absl::StatusOr<Ports> ParsePorts(absl::string_view text) {
  const char* const kWhat =
      "not a port or a range of ports from 1 to 65535, such as 6443 or 30000-32767";
  const size_t dash = text.find('-');
  auto first = ParsePort(text.substr(0, dash));
  auto last = dash == absl::string_view::npos ? first : ParsePort(text.substr(dash + 1));
  if (!first.ok() || !last.ok()) return Bad(kWhat);
  if (*first > *last) return Bad("the range ends before it begins");
  return Ports{.first = *first, .last = *last};
}

absl::Status CheckMac(absl::string_view text) {
  const char* const kWhat =
      "not a MAC address: six pairs of lower-case hex digits with colons between them, such as "
      "dc:a6:32:01:02:03";
  if (text.size() != 17) return Bad(kWhat);
  for (size_t i = 0; i < text.size(); ++i) {
    const bool colon = i % 3 == 2;
    if (colon ? text[i] != ':' : !absl::ascii_isxdigit(text[i]) || absl::ascii_isupper(text[i])) {
      return Bad(kWhat);
    }
  }
  if (text == "00:00:00:00:00:00") return Bad("is no device's: all zero");
  // The lowest bit of the first byte.
  if (absl::StrContains("13579bdf", text[1]))
    return Bad("is the address of a group, not a device's");
  return absl::OkStatus();
}

absl::Status CheckInterfaceName(absl::string_view text) {
  const bool good = !text.empty() && text.size() <= 15 && !AllDigits(text) && text[0] != '.' &&
                    text[0] != '-' && std::all_of(text.begin(), text.end(), [](char c) {
                      return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
                    });
  if (good) return absl::OkStatus();
  return Bad(
      "not the name of a network interface: 1 to 15 letters, digits, `-`, `_` and `.`, such as "
      "eth0 "
      "or eth0.20");
}

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) {
    return Bad("the port is missing: HOST:PORT, such as 0.0.0.0:6050, [::1]:6050 or :6050");
  }
  auto port = ParsePort(text.substr(colon + 1));
  if (!port.ok()) return port.status();
  HostPort out{.port = *port};
  if (colon == 0) return out;
  auto host = ParseHost(text.substr(0, colon));
  if (!host.ok()) {
    return Bad(
        absl::StrCat(host.status().message(), "; HOST:PORT, such as 0.0.0.0:6050 or [::1]:6050"));
  }
  out.host = *std::move(host);
  return out;
}

bool IsDnsLabel(absl::string_view text) {
  if (text.empty() || text.size() > 63 || text.front() == '-' || text.back() == '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
}

bool IsDnsName(absl::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  for (absl::string_view label : absl::StrSplit(text, '.')) {
    if (!IsDnsLabel(label)) return false;
  }
  return true;
}

absl::StatusOr<Url> ParseUrl(absl::string_view text) {
  if (text.size() > 2048) return Bad("a URL has at most 2048 bytes");
  for (unsigned char c : text) {
    if (c <= 0x20 || c >= 0x7F)
      return Bad("a URL holds no spaces, control or non-ASCII characters");
  }
  const size_t end = text.find("://");
  Url url;
  if (end != absl::string_view::npos) url.scheme = std::string(text.substr(0, end));
  if (url.scheme != "https" && url.scheme != "http" && url.scheme != "file") {
    return Bad("not a URL with https://, http:// or file://, such as https://example.org/k3s");
  }
  if (absl::StrContains(text, '#')) return Bad("a URL has no fragment (`#...`) here");
  absl::string_view rest = text.substr(end + 3);
  const size_t slash = rest.find_first_of("/?");
  absl::string_view authority = rest.substr(0, slash);
  if (slash != absl::string_view::npos) url.path = std::string(rest.substr(slash));
  if (url.scheme == "file") {
    if (!authority.empty() || url.path.size() < 2) {
      return Bad("a file URL holds an absolute path, such as file:///media/k3s");
    }
    for (absl::string_view part : absl::StrSplit(url.path, '/')) {
      if (part == ".." || part == ".") return Bad("the path of a file URL holds no `.` or `..`");
    }
    return url;
  }
  if (absl::StrContains(authority, '@')) {
    return Bad("a URL holds no user name or password");
  }
  const size_t colon = authority.rfind(':');
  if (colon != absl::string_view::npos && authority.find(']', colon) == absl::string_view::npos) {
    auto port = ParsePort(authority.substr(colon + 1));
    if (!port.ok()) return port.status();
    url.port = *port;
    authority = authority.substr(0, colon);
  }
  auto host = ParseHost(authority);
  if (!host.ok()) return Bad(absl::StrCat("the URL's host: ", host.status().message()));
  url.host = *std::move(host);
  return url;
}

absl::StatusOr<Url> ParseSinkUrl(absl::string_view text) {
  const size_t end = text.find("://");
  const absl::string_view scheme = end == absl::string_view::npos ? "" : text.substr(0, end);
  if (scheme == "https" || scheme == "http") return ParseUrl(text);
  if (scheme != "syslog+tls" && scheme != "syslog+tcp" && scheme != "syslog+udp") {
    return Bad(
        "not a URL with https://, http://, syslog+tls://, syslog+tcp:// or syslog+udp://, such as "
        "syslog+tls://logs.example.org:6514");
  }
  if (text.size() > 2048) return Bad("a URL has at most 2048 bytes");
  auto address = ParseHostPort(text.substr(end + 3));
  if (!address.ok() || address->host.empty()) {
    return Bad(
        "a host and a port stand behind the scheme, such as syslog+tls://logs.example.org:6514");
  }
  return Url{.scheme = std::string(scheme), .host = address->host, .port = address->port};
}

}  // namespace basalt::format
