#include "server/host/netlink_socket.h"

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt::host {
namespace {

// A dump fills what recvmsg offers, at most 32 KiB.
constexpr size_t kBuffer = 64 << 10;

}  // namespace

absl::Status NetlinkError(int error, const std::string& what) {
  const std::string text = absl::StrCat(what, ": ", std::strerror(error));
  switch (error) {
    case ENODEV:
    case ENOENT:
    case ESRCH:
    case EADDRNOTAVAIL:
      return absl::NotFoundError(text);
    case EEXIST:
      return absl::AlreadyExistsError(text);
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
      return api::Coded(absl::StatusCode::kUnimplemented, "kernel-cannot", text,
                        "the kernel of this node has no module for it");
    case EINTR:
      return absl::AbortedError(text);  // it changed under the dump: once more
    case EINVAL:
    case ERANGE:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EBUSY:
      return absl::InvalidArgumentError(text);
    default:
      return absl::UnavailableError(text);
  }
}

NetlinkSocket::NetlinkSocket(mnl_socket* socket)
    : socket_(socket), buffer_(std::make_unique<char[]>(kBuffer)) {}

NetlinkSocket::~NetlinkSocket() { mnl_socket_close(socket_); }

absl::StatusOr<std::unique_ptr<NetlinkSocket>> NetlinkSocket::Open(int protocol, uint32_t groups) {
  mnl_socket* socket = mnl_socket_open2(protocol, SOCK_CLOEXEC | (groups != 0 ? SOCK_NONBLOCK : 0));
  if (socket == nullptr) return NetlinkError(errno, "opening a netlink socket");
  std::unique_ptr<NetlinkSocket> out(new NetlinkSocket(socket));
  if (mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) < 0) {
    return NetlinkError(errno, "binding a netlink socket");
  }
  return out;
}

int NetlinkSocket::fd() const { return mnl_socket_get_fd(socket_); }

absl::Status NetlinkSocket::Ask(std::string message, const std::string& what) {
  auto* header = reinterpret_cast<nlmsghdr*>(message.data());
  header->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = NextSequence();
  if (mnl_socket_sendto(socket_, message.data(), message.size()) < 0) {
    return NetlinkError(errno, what);
  }
  return Receive(header->nlmsg_seq, what, nullptr);
}

absl::Status NetlinkSocket::Read(std::string message, const std::string& what,
                                 const std::function<void(const nlmsghdr*)>& read) {
  auto* header = reinterpret_cast<nlmsghdr*>(message.data());
  header->nlmsg_flags |= NLM_F_REQUEST;
  // One answer has no end of its own: the acknowledgement is one.
  if ((header->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP) header->nlmsg_flags |= NLM_F_ACK;
  header->nlmsg_seq = NextSequence();
  if (mnl_socket_sendto(socket_, message.data(), message.size()) < 0) {
    return NetlinkError(errno, what);
  }
  return Receive(header->nlmsg_seq, what, read);
}

absl::Status NetlinkSocket::AskBatch(std::string messages, uint32_t last_sequence,
                                     const std::string& what) {
  if (mnl_socket_sendto(socket_, messages.data(), messages.size()) < 0) {
    return NetlinkError(errno, what);
  }
  // Errors come before the acknowledgement of the last one, or instead of it.
  int first_error = 0;
  for (;;) {
    ssize_t size = mnl_socket_recvfrom(socket_, buffer_.get(), kBuffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return NetlinkError(errno, what);
    int left = static_cast<int>(size);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer_.get()); mnl_nlmsg_ok(header, left);
         header = mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_type != NLMSG_ERROR ||
          mnl_nlmsg_get_payload_len(header) < sizeof(nlmsgerr)) {
        continue;
      }
      const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header));
      if (error->error != 0 && first_error == 0) first_error = -error->error;
      // A batch that failed is not carried out: whatever is said after the first error adds
      // nothing.
      if (header->nlmsg_seq == last_sequence || first_error != 0) {
        if (first_error == 0) return absl::OkStatus();
        const absl::Status status = NetlinkError(first_error, what);
        // The rest of what waits belongs to this batch.
        while (recv(fd(), buffer_.get(), kBuffer, MSG_DONTWAIT) > 0) {
        }
        return status;
      }
    }
  }
}

absl::Status NetlinkSocket::Receive(uint32_t sequence, const std::string& what,
                                    const std::function<void(const nlmsghdr*)>& read) {
  const unsigned port = mnl_socket_get_portid(socket_);
  auto each = [](const nlmsghdr* header, void* data) {
    const auto& function = *static_cast<const std::function<void(const nlmsghdr*)>*>(data);
    if (function) function(header);
    return MNL_CB_OK;
  };
  for (;;) {
    ssize_t size = mnl_socket_recvfrom(socket_, buffer_.get(), kBuffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return NetlinkError(errno, what);
    int result = mnl_cb_run(buffer_.get(), static_cast<size_t>(size), sequence, port, each,
                            const_cast<std::function<void(const nlmsghdr*)>*>(&read));
    if (result < 0) {
      const int error = errno;
      Drain();  // the rest of a dump that was interrupted
      return NetlinkError(error, what);
    }
    if (result == MNL_CB_STOP) return absl::OkStatus();
  }
}

bool NetlinkSocket::Drain() {
  bool any = false;
  for (;;) {
    ssize_t size = recv(fd(), buffer_.get(), kBuffer, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ENOBUFS) {
      any = true;
      continue;
    }
    if (size <= 0) return any;
    any = true;
  }
}

}  // namespace basalt::host
