// Two sockets, one a family, bound to the port of mDNS and joined to its group on each link.
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bitset>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/mdns_message.h"
#include "server/host/fd.h"
#include "server/mdns/links.h"

namespace basalt::mdns {
namespace {

constexpr size_t kMostLinks = 16, kMostAddresses = 8;
constexpr int kMostAtOnce = 16;

// Physical, or built by the config upon what is. Bridges and pairs of a container network are not.
bool BelongsToMachine(const std::string& name) {
  std::error_code error;
  const std::string at = absl::StrCat("/sys/class/net/", name);
  if (std::filesystem::exists(at + "/device", error)) return true;
  for (const char* of_pods :
       {"cni", "flannel", "veth", "docker", "kube", "cali", "cilium", "lxc"}) {
    if (absl::StartsWith(name, of_pods)) return false;
  }
  std::ifstream in(at + "/uevent");
  for (std::string line; std::getline(in, line);) {
    if (line == "DEVTYPE=bond" || line == "DEVTYPE=bridge" || line == "DEVTYPE=vlan") return true;
  }
  return false;
}

std::string BytesOf(const sockaddr* address) {
  if (address == nullptr) return "";
  if (address->sa_family == AF_INET) {
    return std::string(
        reinterpret_cast<const char*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr), 4);
  }
  if (address->sa_family == AF_INET6) {
    return std::string(
        reinterpret_cast<const char*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr),
        16);
  }
  return "";
}

int PrefixOf(const std::string& mask) {
  int bits = 0;
  for (char c : mask) bits += static_cast<int>(std::bitset<8>(static_cast<uint8_t>(c)).count());
  return bits;
}

void Set(int fd, int level, int option, int value) {
  // Ignoring failures: without one of them less is heard, and that is all.
  (void)setsockopt(fd, level, option, &value, sizeof value);
}

host::UniqueFd OpenSocket(int family) {
  host::UniqueFd fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fd;
  // Others of this machine may speak mDNS too.
  Set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  Set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (family == AF_INET) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(api::mdns::kPort);
    Set(fd.get(), IPPROTO_IP, IP_PKTINFO, 1);
    Set(fd.get(), IPPROTO_IP, IP_MULTICAST_TTL, 255);
    Set(fd.get(), IPPROTO_IP, IP_TTL, 255);
    Set(fd.get(), IPPROTO_IP, IP_MULTICAST_ALL, 0);
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) != 0) fd.reset(-1);
  } else {
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(api::mdns::kPort);
    Set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    Set(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    Set(fd.get(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255);
    Set(fd.get(), IPPROTO_IPV6, IPV6_UNICAST_HOPS, 255);
    Set(fd.get(), IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) != 0) fd.reset(-1);
  }
  return fd;
}

class RealLinks : public Links {
 public:
  explicit RealLinks(bool any) : any_(any) {}

  std::vector<Link> List() override {
    std::map<std::string, Link> links;
    ifaddrs* all = nullptr;
    if (getifaddrs(&all) != 0) return {};
    for (const ifaddrs* i = all; i != nullptr; i = i->ifa_next) {
      constexpr unsigned kWanted = IFF_UP | IFF_RUNNING | IFF_MULTICAST;
      if ((i->ifa_flags & kWanted) != kWanted || (i->ifa_flags & IFF_LOOPBACK) != 0) continue;
      const std::string bytes = BytesOf(i->ifa_addr);
      if (bytes.empty() || (!any_ && !BelongsToMachine(i->ifa_name))) continue;
      Link& link = links[i->ifa_name];
      link.name = i->ifa_name;
      link.index = static_cast<int>(if_nametoindex(i->ifa_name));
      if (link.addresses.size() < kMostAddresses) {
        link.addresses.push_back({bytes, PrefixOf(BytesOf(i->ifa_netmask))});
      }
    }
    freeifaddrs(all);
    std::vector<Link> out;
    for (auto& [name, link] : links) {
      if (link.index > 0 && out.size() < kMostLinks) out.push_back(std::move(link));
    }
    return out;
  }

  void ListenOn(const std::vector<Link>& links) override {
    v4_ = host::UniqueFd();
    v6_ = host::UniqueFd();
    if (links.empty()) return;
    v4_ = OpenSocket(AF_INET);
    v6_ = OpenSocket(AF_INET6);
    for (const Link& link : links) {
      ip_mreqn four{};
      inet_pton(AF_INET, api::mdns::kGroup4, &four.imr_multiaddr);
      four.imr_ifindex = link.index;
      // Ignoring failures: a link without addresses of a family is in no group of it.
      (void)setsockopt(v4_.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &four, sizeof four);
      ipv6_mreq six{};
      inet_pton(AF_INET6, api::mdns::kGroup6, &six.ipv6mr_multiaddr);
      six.ipv6mr_interface = static_cast<unsigned>(link.index);
      (void)setsockopt(v6_.get(), IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &six, sizeof six);
    }
  }

  std::vector<int> descriptors() const override {
    std::vector<int> out;
    for (const host::UniqueFd* fd : {&v4_, &v6_}) {
      if (fd->valid()) out.push_back(fd->get());
    }
    return out;
  }

  std::vector<Datagram> Receive() override {
    std::vector<Datagram> out;
    for (const host::UniqueFd* fd : {&v4_, &v6_}) {
      for (int i = 0; fd->valid() && i < kMostAtOnce; ++i) {
        std::optional<Datagram> one = ReceiveOne(fd->get());
        if (!one) break;
        if (one->link > 0) out.push_back(std::move(*one));
      }
    }
    return out;
  }

  void Multicast(const Link& link, const std::string& bytes) override {
    const auto has = [&](size_t size) {
      return std::any_of(link.addresses.begin(), link.addresses.end(),
                         [&](const LinkAddress& a) { return a.bytes.size() == size; });
    };
    // Ignoring failures of sending: whoever asks, asks again.
    if (v4_.valid() && has(4)) {
      ip_mreqn out{};
      out.imr_ifindex = link.index;
      (void)setsockopt(v4_.get(), IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(api::mdns::kPort);
      inet_pton(AF_INET, api::mdns::kGroup4, &to.sin_addr);
      (void)sendto(v4_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL,
                   reinterpret_cast<sockaddr*>(&to), sizeof to);
    }
    if (v6_.valid() && has(16)) {
      sockaddr_in6 to{};
      to.sin6_family = AF_INET6;
      to.sin6_port = htons(api::mdns::kPort);
      to.sin6_scope_id = static_cast<unsigned>(link.index);
      inet_pton(AF_INET6, api::mdns::kGroup6, &to.sin6_addr);
      (void)sendto(v6_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL,
                   reinterpret_cast<sockaddr*>(&to), sizeof to);
    }
  }

  void Unicast(const Datagram& to, const std::string& bytes) override {
    if (to.source.size() == 4) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(to.port);
      memcpy(&address.sin_addr, to.source.data(), 4);
      (void)sendto(v4_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL,
                   reinterpret_cast<sockaddr*>(&address), sizeof address);
    } else {
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      address.sin6_port = htons(to.port);
      address.sin6_scope_id = static_cast<unsigned>(to.link);
      memcpy(&address.sin6_addr, to.source.data(), 16);
      (void)sendto(v6_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL,
                   reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
  }

 private:
  static std::optional<Datagram> ReceiveOne(int fd) {
    char bytes[api::mdns::kMostBytes];
    alignas(cmsghdr) char control[256];
    sockaddr_storage from{};
    iovec part{.iov_base = bytes, .iov_len = sizeof bytes};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t n = recvmsg(fd, &message, 0);
    if (n < 0) return std::nullopt;
    Datagram out;
    out.bytes.assign(bytes, static_cast<size_t>(n));
    out.source = BytesOf(reinterpret_cast<sockaddr*>(&from));
    out.port = ntohs(from.ss_family == AF_INET ? reinterpret_cast<sockaddr_in*>(&from)->sin_port
                                               : reinterpret_cast<sockaddr_in6*>(&from)->sin6_port);
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        out.link = info.ipi_ifindex;
      } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        in6_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        out.link = static_cast<int>(info.ipi6_ifindex);
      }
    }
    return out;
  }

  const bool any_;
  host::UniqueFd v4_, v6_;
};

}  // namespace

std::unique_ptr<Links> MakeLinks() { return std::make_unique<RealLinks>(/*any=*/false); }
std::unique_ptr<Links> MakeAnyLinks() { return std::make_unique<RealLinks>(/*any=*/true); }

}  // namespace basalt::mdns
