// One netlink socket: a request, and its answer or its error. What is sent and what came back is
// made and read elsewhere (route_messages.h, packet_filter_messages.h, wireguard_messages.h).
// One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct mnl_socket;
struct nlmsghdr;

namespace basalt::host {

// "errno text", with what was tried; the codes of network.h.
absl::Status NetlinkError(int error, const std::string& what);

class NetlinkSocket {
 public:
  // `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_GENERIC. `groups`: multicast to listen
  // to; such a socket does not block and makes no requests.
  static absl::StatusOr<std::unique_ptr<NetlinkSocket>> Open(int protocol, uint32_t groups = 0);
  ~NetlinkSocket();
  NetlinkSocket(const NetlinkSocket&) = delete;
  NetlinkSocket& operator=(const NetlinkSocket&) = delete;

  // Sends one message and waits for the acknowledgement. `message` is a whole nlmsghdr; sequence
  // number and flags of a request are set here.
  absl::Status Ask(std::string message, const std::string& what);
  // The same for a dump or for an answer: each message of it goes to `read`.
  absl::Status Read(std::string message, const std::string& what,
                    const std::function<void(const nlmsghdr*)>& read);
  // Sends several messages as one; as many acknowledgements come as ask for one. The first error
  // counts.
  absl::Status AskBatch(std::string messages, uint32_t last_sequence, const std::string& what);

  int fd() const;
  // Throws away what waits; false when nothing did. A full buffer (ENOBUFS) counts as something.
  bool Drain();
  uint32_t NextSequence() { return ++sequence_; }

 private:
  explicit NetlinkSocket(mnl_socket* socket);
  absl::Status Receive(uint32_t sequence, const std::string& what,
                       const std::function<void(const nlmsghdr*)>& read);

  mnl_socket* socket_;
  uint32_t sequence_ = 0;
  std::unique_ptr<char[]> buffer_;
};

}  // namespace basalt::host
