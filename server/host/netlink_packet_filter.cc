#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "server/host/filter_messages.h"
#include "server/host/netlink_socket.h"
#include "server/host/packet_filter.h"

namespace basalt::host {
namespace {

class NetlinkPacketFilter : public PacketFilter {
 public:
  explicit NetlinkPacketFilter(std::unique_ptr<NetlinkSocket> socket)
      : socket_(std::move(socket)) {}

  absl::Status Set(const FilterPolicy& policy) override {
    return Send(&policy, "setting the firewall");
  }
  absl::Status Remove() override { return Send(nullptr, "removing the firewall"); }

  absl::StatusOr<std::string> Mark() override {
    std::string digest;
    absl::Status status = socket_->Read(GetFilterTable(), "looking at the firewall",
                                        [&digest](const nlmsghdr* message) {
                                          if (auto found = ReadFilterTable(message))
                                            digest = *found;
                                        });
    if (absl::IsNotFound(status)) return std::string();
    int rules = 0;
    if (status.ok()) {
      status = socket_->Read(
          DumpFilterRules(), "looking at the firewall",
          [&rules](const nlmsghdr* message) { rules += IsFilterRule(message) ? 1 : 0; });
    }
    if (!status.ok()) return status;
    return absl::StrCat(digest, ":", rules);
  }

 private:
  absl::Status Send(const FilterPolicy* policy, const std::string& what) {
    uint32_t last = 0;
    const std::string batch = FilterBatch(policy, first_, &last);
    first_ = last + 2;  // the end of the batch has a number too
    // The kernel takes a transaction as one message.
    const int size = static_cast<int>(batch.size()) + (1 << 20);
    setsockopt(socket_->fd(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    return socket_->AskBatch(batch, last, what);
  }

  std::unique_ptr<NetlinkSocket> socket_;
  uint32_t first_ = 1u << 20;  // apart from those of single requests
};

}  // namespace

absl::StatusOr<std::unique_ptr<PacketFilter>> OpenPacketFilter() {
  absl::StatusOr<std::unique_ptr<NetlinkSocket>> socket = NetlinkSocket::Open(NETLINK_NETFILTER);
  if (!socket.ok()) return socket.status();
  return std::make_unique<NetlinkPacketFilter>(*std::move(socket));
}

}  // namespace basalt::host
