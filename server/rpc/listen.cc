#include "server/rpc/listen.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt::rpc {
namespace {

constexpr int kBacklog = 256;

// Sockets that listen on one port need SO_REUSEPORT all of them; it is set for the moment of the
// bind only, so that no other process can ever join in.
void ShareOwnPorts(const std::vector<int>& own, int value) {
  for (int fd : own) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof(value));
}

bool Bind(int fd, const SocketAddress& address) {
  return bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) == 0 &&
         listen(fd, kBacklog) == 0;
}

}  // namespace

absl::StatusOr<Listener> OpenListener(const std::string& text, const std::vector<int>& own) {
  absl::StatusOr<SocketAddress> parsed = ParseListenAddress(text);
  if (!parsed.ok()) return parsed.status();
  SocketAddress address = *parsed;
  auto failed = [&](absl::string_view what) {
    return api::Coded(
        absl::StatusCode::kUnavailable, "listen-failed",
        absl::StrCat("cannot listen on ", text, ": ", what, ": ", std::strerror(errno)),
        "name an address that the node has and a port that is free");
  };
  Listener out{.text = text};
  constexpr int kType = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  out.fd.reset(socket(address.family(), kType, 0));
  if (!out.fd.valid() && errno == EAFNOSUPPORT && text.front() == ':') {
    // Every address, on a kernel without IPv6.
    parsed = ParseListenAddress(absl::StrCat("0.0.0.0", text));
    address = *parsed;
    out.fd.reset(socket(address.family(), kType, 0));
  }
  if (!out.fd.valid()) return failed("socket");
  int on = 1;
  int off = 0;
  setsockopt(out.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  setsockopt(out.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (address.family() == AF_INET6) {
    // "[::]:6050" is IPv6 alone, as written; ":6050" is both.
    bool both = text.front() == ':';
    setsockopt(out.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, both ? &off : &on, sizeof(on));
  }
  if (!Bind(out.fd.get(), address)) {
    if (errno != EADDRINUSE || own.empty()) return failed("bind");
    setsockopt(out.fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    ShareOwnPorts(own, on);
    bool bound = Bind(out.fd.get(), address);
    int error = errno;
    ShareOwnPorts(own, off);
    setsockopt(out.fd.get(), SOL_SOCKET, SO_REUSEPORT, &off, sizeof(off));
    errno = error;
    if (!bound) return failed("bind");
  }
  SocketAddress bound;
  bound.size = sizeof(bound.storage);
  if (getsockname(out.fd.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.size) != 0) {
    return failed("getsockname");
  }
  out.endpoint = text.front() == ':' ? absl::StrCat(":", bound.port()) : bound.ToString();
  return out;
}

}  // namespace basalt::rpc
