#include "server/host/gateway.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/host/fd.h"
#include "server/host/netlink_message.h"
#include "server/host/netlink_socket.h"
#include "server/host/network.h"
#include "server/host/route_messages.h"

namespace basalt::host {
namespace {

constexpr uint16_t kDiscardPort = 9;

std::string DumpNeighbours() {
  NetlinkMessage message(RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP);
  message.Extra<ndmsg>();
  return message.Take();
}

std::string Text(const std::string& ip) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(ip.size() == 4 ? AF_INET : AF_INET6, ip.data(), text, sizeof text);
  return text;
}

// A packet to it makes the kernel ask who it is. Nobody has to take the packet.
void Poke(const std::string& ip, int link) {
  UniqueFd fd(
      socket(ip.size() == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (ip.size() == 4) {
    sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(kDiscardPort)};
    memcpy(&to.sin_addr, ip.data(), 4);
    (void)sendto(fd.get(), "", 0, MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&to), sizeof to);
  } else {
    sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(kDiscardPort)};
    memcpy(&to.sin6_addr, ip.data(), 16);
    to.sin6_scope_id = static_cast<uint32_t>(link);
    (void)sendto(fd.get(), "", 0, MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
}

class RealGateway : public Gateway {
 public:
  explicit RealGateway(std::unique_ptr<NetlinkSocket> socket) : socket_(std::move(socket)) {}

  GatewayState Look() override {
    std::vector<Route> defaults;
    std::vector<Neighbour> neighbours;
    absl::Status status =
        socket_->Read(DumpRoutes(), "listing routes", [&](const nlmsghdr* message) {
          auto route = ReadRoute(message);
          if (route && route->prefix == 0 && route->table == kMainTable) {
            defaults.push_back(*std::move(route));
          }
        });
    if (status.ok()) {
      status = socket_->Read(DumpNeighbours(), "listing neighbours", [&](const nlmsghdr* message) {
        if (auto neighbour = ReadNeighbour(message)) neighbours.push_back(*std::move(neighbour));
      });
    }
    // The kernel did not say: no reason to restart anything.
    if (!status.ok()) return {.answers = true, .text = std::string(status.message())};
    if (defaults.empty()) return {.answers = false, .text = "no default route"};
    GatewayState state;
    std::vector<std::string> names;
    for (const Route& route : defaults) {
      // On the link itself (a tunnel): nobody is there who could be asked.
      if (route.via.empty()) {
        state.answers = true;
        continue;
      }
      names.push_back(Text(route.via));
      for (const Neighbour& neighbour : neighbours) {
        if (neighbour.link == route.link && neighbour.ip == route.via) {
          state.answers |= NeighbourAnswers(neighbour.state);
        }
      }
      Poke(route.via, route.link);
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    state.text = absl::StrJoin(names, ", ");
    return state;
  }

 private:
  std::unique_ptr<NetlinkSocket> socket_;
};

}  // namespace

std::optional<Neighbour> ReadNeighbour(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWNEIGH ||
      message->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(ndmsg)) {
    return std::nullopt;
  }
  const auto* head = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
  const auto attributes = Attributes<NDA_MAX + 1>::Of(message, sizeof(ndmsg));
  Neighbour out = {
      .link = head->ndm_ifindex, .ip = attributes.Bytes(NDA_DST), .state = head->ndm_state};
  if (out.ip.size() != 4 && out.ip.size() != 16) return std::nullopt;
  return out;
}

bool NeighbourAnswers(uint16_t state) {
  return (state &
          (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)) != 0;
}

absl::StatusOr<std::unique_ptr<Gateway>> OpenGateway() {
  absl::StatusOr<std::unique_ptr<NetlinkSocket>> socket = NetlinkSocket::Open(NETLINK_ROUTE);
  if (!socket.ok()) return socket.status();
  return std::make_unique<RealGateway>(*std::move(socket));
}

}  // namespace basalt::host
