#include "server/wire/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/wire/fault.h"

namespace basalt::wire {
namespace {

absl::Status FromErrno(int error, absl::string_view what) {
  const char* code = error == ECONNREFUSED ? "refused" : "unreachable";
  return Fault(absl::StatusCode::kUnavailable, code, absl::StrCat(what, ": ", strerror(error)));
}

class Clear : public Stream {
 public:
  explicit Clear(host::UniqueFd fd) : fd_(std::move(fd)) {}

  absl::Status Write(absl::string_view bytes, absl::Time deadline) override {
    while (!bytes.empty()) {
      const ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno != EAGAIN && errno != EINTR) return FromErrno(errno, "write");
      if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
      if (n < 0) {
        if (absl::Status s = Await(fd_.get(), POLLOUT, deadline); !s.ok()) return s;
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Read(size_t most, absl::Time deadline) override {
    std::string buffer(most, '\0');
    while (true) {
      const ssize_t n = recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n >= 0) {
        buffer.resize(static_cast<size_t>(n));
        return buffer;
      }
      if (errno != EAGAIN && errno != EINTR) return FromErrno(errno, "read");
      if (absl::Status s = Await(fd_.get(), POLLIN, deadline); !s.ok()) return s;
    }
  }

  bool Stale() override {
    char byte;
    const ssize_t n = recv(fd_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return n >= 0 || (errno != EAGAIN && errno != EINTR);
  }

 private:
  host::UniqueFd fd_;
};

}  // namespace

std::string Address::Ip() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
  } else if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
  }
  return text;
}

std::string Address::Text() const {
  if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    return absl::StrCat("[", Ip(), "]:", ntohs(v6->sin6_port));
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
  return absl::StrCat(Ip(), ":", ntohs(v4->sin_port));
}

absl::StatusOr<std::vector<Address>> Resolve(const std::string& host, int port, bool datagram) {
  addrinfo hints = {};
  hints.ai_socktype = datagram ? SOCK_DGRAM : SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &list);
  if (error == EAI_NONAME || error == EAI_NODATA) {
    return Fault(absl::StatusCode::kNotFound, "no-such-name",
                 absl::StrCat("no address is known for ", host));
  }
  if (error != 0) {
    return Fault(absl::StatusCode::kUnavailable, "resolver-failed",
                 absl::StrCat("resolving ", host, ": ",
                              error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error)));
  }
  std::vector<Address> out;
  for (addrinfo* at = list; at != nullptr && out.size() < 64; at = at->ai_next) {
    if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
    Address& address = out.emplace_back();
    memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    address.size = at->ai_addrlen;
  }
  freeaddrinfo(list);
  return out;
}

absl::Status Await(int fd, short events, absl::Time deadline) {
  while (true) {
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    pollfd one = {.fd = fd, .events = events, .revents = 0};
    const int n = poll(&one, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 600000)));
    if (n > 0) return absl::OkStatus();
    if (n == 0 && left <= 0) {
      return Fault(absl::StatusCode::kDeadlineExceeded, "timeout", "no answer in time");
    }
    if (n < 0 && errno != EINTR) return FromErrno(errno, "poll");
  }
}

absl::StatusOr<host::UniqueFd> ConnectTcp(const Address& address, absl::Time deadline) {
  host::UniqueFd fd(
      socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return FromErrno(errno, "socket");
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
    if (errno != EINPROGRESS) return FromErrno(errno, address.Text());
    if (absl::Status s = Await(fd.get(), POLLOUT, deadline); !s.ok()) return s;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return FromErrno(error, address.Text());
  }
  return fd;
}

absl::StatusOr<host::UniqueFd> ConnectUdp(const Address& address) {
  host::UniqueFd fd(socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return FromErrno(errno, "socket");
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
    return FromErrno(errno, address.Text());
  }
  return fd;
}

std::unique_ptr<Stream> ClearStream(host::UniqueFd fd) {
  return std::make_unique<Clear>(std::move(fd));
}

}  // namespace basalt::wire
