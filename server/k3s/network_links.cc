#include "server/k3s/network_links.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace basalt::k3s {
namespace {

constexpr char kBridge[] = "cni0";
constexpr const char* kNames[] = {kBridge,      "flannel.1",     "flannel-v6.1",
                                  "flannel-wg", "flannel-wg-v6", "kube-ipvs0"};

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};

int ReadAttribute(const nlattr* attribute, void* data) {
  auto* link = static_cast<NetworkLink*>(data);
  switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFNAME:
      if (mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
        link->name = mnl_attr_get_str(attribute);
      break;
    case IFLA_MASTER:
      if (mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
        link->master = static_cast<int>(mnl_attr_get_u32(attribute));
      break;
  }
  return MNL_CB_OK;
}

int ReadLink(const nlmsghdr* header, void* data) {
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(header));
  NetworkLink link{.index = info->ifi_index};
  mnl_attr_parse(header, sizeof(*info), ReadAttribute, &link);
  static_cast<std::vector<NetworkLink>*>(data)->push_back(std::move(link));
  return MNL_CB_OK;
}

class Netlink {
 public:
  Netlink() : socket_(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)) {
    if (socket_ && mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0) socket_.reset();
  }

  absl::StatusOr<std::vector<NetworkLink>> Links() {
    std::vector<NetworkLink> links;
    nlmsghdr* header = Request(RTM_GETLINK, NLM_F_DUMP, 0);
    if (!Exchange(header, ReadLink, &links))
      return absl::UnavailableError(absl::StrCat("cannot list links: ", std::strerror(errno)));
    return links;
  }

  bool Remove(int index) {
    nlmsghdr* header = Request(RTM_DELLINK, NLM_F_ACK, index);
    // Gone already: the other end of a veth went, or its namespace did.
    return Exchange(header, nullptr, nullptr) || errno == ENODEV;
  }

 private:
  nlmsghdr* Request(uint16_t type, uint16_t flags, int index) {
    nlmsghdr* header = mnl_nlmsg_put_header(buffer_);
    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST | flags;
    header->nlmsg_seq = ++sequence_;
    auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
    info->ifi_family = AF_UNSPEC;
    info->ifi_index = index;
    return header;
  }

  bool Exchange(nlmsghdr* header, mnl_cb_t read, void* data) {
    if (!socket_ || mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0) return false;
    const unsigned port = mnl_socket_get_portid(socket_.get());
    for (;;) {
      ssize_t size = mnl_socket_recvfrom(socket_.get(), buffer_, sizeof buffer_);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return false;
      int result = mnl_cb_run(buffer_, static_cast<size_t>(size), sequence_, port, read, data);
      if (result <= MNL_CB_STOP) return result == MNL_CB_STOP;
    }
  }

  std::unique_ptr<mnl_socket, CloseSocket> socket_;
  unsigned sequence_ = 0;
  // A dump fills what recvmsg offers, at most 32 KiB.
  alignas(nlmsghdr) char buffer_[32 << 10];
};

}  // namespace

std::vector<NetworkLink> LinksOfK3s(const std::vector<NetworkLink>& links) {
  int bridge = 0;
  for (const NetworkLink& link : links) {
    if (link.name == kBridge) bridge = link.index;
  }
  std::vector<NetworkLink> ours;
  for (const NetworkLink& link : links) {
    if (bridge != 0 && link.master == bridge) ours.push_back(link);
  }
  for (const char* name : kNames) {
    for (const NetworkLink& link : links) {
      if (link.name == name) ours.push_back(link);
    }
  }
  return ours;
}

absl::Status RemoveLinksOfK3s() {
  auto netlink = std::make_unique<Netlink>();
  absl::StatusOr<std::vector<NetworkLink>> links = netlink->Links();
  if (!links.ok()) return links.status();
  for (const NetworkLink& link : LinksOfK3s(*links)) {
    if (!netlink->Remove(link.index)) {
      return absl::UnavailableError(
          absl::StrCat("cannot remove the network link ", link.name, ": ", std::strerror(errno)));
    }
  }
  return absl::OkStatus();
}

}  // namespace basalt::k3s
