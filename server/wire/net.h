// Connections with a deadline, for programs that may block: resolve, connect, read, write. One
// thread at a time for each connection.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/host/fd.h"

namespace basalt::wire {

struct Address {
  sockaddr_storage storage = {};
  socklen_t size = 0;
  std::string Text() const;  // "192.168.1.1:53", "[fd00::1]:53"
  std::string Ip() const;    // without the port
};

// Codes: "no-such-name" (NotFound), "resolver-failed" (Unavailable). Blocks as long as the system's
// resolver does.
absl::StatusOr<std::vector<Address>> Resolve(const std::string& host, int port, bool datagram);

// "refused", "unreachable" (Unavailable), "timeout" (DeadlineExceeded).
absl::StatusOr<host::UniqueFd> ConnectTcp(const Address& address, absl::Time deadline);
absl::StatusOr<host::UniqueFd> ConnectUdp(const Address& address);

// A stream in the clear or with TLS.
class Stream {
 public:
  virtual ~Stream() = default;
  // All of it, or an error: then the stream is of no use any more.
  virtual absl::Status Write(absl::string_view bytes, absl::Time deadline) = 0;
  // Some bytes; "" at the end.
  virtual absl::StatusOr<std::string> Read(size_t most, absl::Time deadline) = 0;
  // The other side has closed it, or has said what nobody asked for: nothing more is sent there.
  virtual bool Stale() = 0;
};

std::unique_ptr<Stream> ClearStream(host::UniqueFd fd);

// Waits until `fd` is ready for `events`; DeadlineExceeded "timeout".
absl::Status Await(int fd, short events, absl::Time deadline);

}  // namespace basalt::wire
