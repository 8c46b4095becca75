#include "server/diagnose/address_policy.h"

#include <arpa/inet.h>

#include <array>
#include <cstring>

namespace basalt::diagnose {
namespace {

using V4 = std::array<unsigned char, 4>;

std::string WhyClosed4(const V4& a) {
  if (a[0] == 127) return "loopback";
  if (a[0] == 0) return "this host itself";
  if (a[0] == 169 && a[1] == 254) return "link-local, where clouds have their metadata service";
  if (a[0] >= 224 && a[0] < 240) return "multicast";
  if (a[0] >= 240) return "reserved";
  // Beyond link-local, clouds have theirs here: Alibaba, Azure's wire server, Oracle.
  static constexpr V4 kMetadata[] = {{100, 100, 100, 200}, {168, 63, 129, 16}, {192, 0, 0, 192}};
  for (const V4& one : kMetadata) {
    if (a == one) return "a metadata service";
  }
  return "";
}

}  // namespace

std::string WhyClosed(absl::string_view ip) {
  const std::string text(ip);
  V4 v4;
  if (inet_pton(AF_INET, text.c_str(), v4.data()) == 1) return WhyClosed4(v4);
  std::array<unsigned char, 16> a;
  if (inet_pton(AF_INET6, text.c_str(), a.data()) != 1) return "no address";
  const auto begins = [&a](std::initializer_list<unsigned char> with) {
    size_t i = 0;
    for (unsigned char byte : with) {
      if (a[i++] != byte) return false;
    }
    return true;
  };
  const auto embedded = [&a](size_t at) {
    V4 inner;
    memcpy(inner.data(), a.data() + at, 4);
    return WhyClosed4(inner);
  };
  // What is IPv4 in another dress: mapped, compatible (with :: and ::1), NAT64, 6to4.
  if (begins({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF})) return embedded(12);
  if (begins({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})) {
    return a[15] == 1 && a[14] == 0 && a[13] == 0 && a[12] == 0 ? "loopback" : "this host itself";
  }
  if (begins({0x00, 0x64, 0xFF, 0x9B})) return embedded(12);
  if (begins({0x20, 0x02})) return embedded(2);
  if (a[0] == 0xFE && (a[1] & 0xC0) == 0x80) return "link-local";
  if (a[0] == 0xFF) return "multicast";
  // EC2: fd00:ec2::/32.
  if (begins({0xFD, 0x00, 0x0E, 0xC2})) return "a metadata service";
  return "";
}

}  // namespace basalt::diagnose
