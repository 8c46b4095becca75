#include <linux/netlink.h>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/host/netlink_socket.h"
#include "server/host/wireguard.h"
#include "server/host/wireguard_messages.h"

namespace basalt::host {
namespace {

class NetlinkWireguard : public Wireguard {
 public:
  explicit NetlinkWireguard(std::unique_ptr<NetlinkSocket> socket) : socket_(std::move(socket)) {}

  absl::StatusOr<Tunnel> Get(const std::string& link) override {
    if (absl::Status status = FindFamily(); !status.ok()) return status;
    Tunnel tunnel;
    absl::Status status =
        socket_->Read(GetTunnel(family_, link), absl::StrCat("looking at the tunnel ", link),
                      [&tunnel](const nlmsghdr* message) { ReadTunnel(message, &tunnel); });
    if (!status.ok()) return status;
    return tunnel;
  }

  absl::Status Set(const std::string& link, const Tunnel& wanted) override {
    absl::StatusOr<Tunnel> is = Get(link);
    if (!is.ok()) return is.status();
    for (std::string& message : TunnelMessages(family_, link, *is, wanted)) {
      absl::Status status =
          socket_->Ask(std::move(message), absl::StrCat("setting the tunnel ", link));
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status FindFamily() {
    if (family_ != 0) return absl::OkStatus();
    absl::Status status =
        socket_->Read(GetWireguardFamily(), "looking for WireGuard", [this](const nlmsghdr* m) {
          if (uint16_t family = ReadWireguardFamily(m)) family_ = family;
        });
    if (family_ != 0) return absl::OkStatus();
    if (!status.ok() && !absl::IsNotFound(status)) return status;
    return api::Coded(absl::StatusCode::kUnimplemented, "kernel-cannot",
                      "the kernel speaks no WireGuard",
                      "the kernel of this node has no module for it");
  }

  std::unique_ptr<NetlinkSocket> socket_;
  uint16_t family_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Wireguard>> OpenWireguard() {
  absl::StatusOr<std::unique_ptr<NetlinkSocket>> socket = NetlinkSocket::Open(NETLINK_GENERIC);
  if (!socket.ok()) return socket.status();
  return std::make_unique<NetlinkWireguard>(*std::move(socket));
}

}  // namespace basalt::host
