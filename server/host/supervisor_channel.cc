#include "server/host/supervisor_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/host/clock.h"

namespace basalt::host {
namespace {

using init::Header;

absl::Status Malformed(absl::string_view what) {
  return api::Coded(absl::StatusCode::kDataLoss, "supervisor-protocol",
                    absl::StrCat("noded-init sent ", what),
                    "noded and noded-init are of different releases: restart both");
}

}  // namespace

absl::StatusOr<std::unique_ptr<SupervisorChannel>> SupervisorChannel::Open(UniqueFd fd) {
  auto channel = absl::WrapUnique(new SupervisorChannel);
  fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  channel->channel_ = std::move(fd);
  channel->kept_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  channel->epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  for (int watched : {channel->channel_.get(), channel->kept_.get()}) {
    epoll_event event = {.events = EPOLLIN, .data = {.fd = watched}};
    if (epoll_ctl(channel->epoll_.get(), EPOLL_CTL_ADD, watched, &event) != 0) {
      return api::Coded(absl::StatusCode::kInternal, "supervisor-channel",
                        absl::StrCat("the channel to noded-init: ", strerror(errno)),
                        "noded is started by noded-init, which leaves it BASALT_SUPERVISOR_FD");
    }
  }
  return channel;
}

absl::StatusOr<SupervisorChannel::Reply> SupervisorChannel::Call(init::Op op,
                                                                 absl::string_view body,
                                                                 const std::vector<int>& fds) {
  if (!channel_.valid()) return Gone();
  if (sizeof(Header) + body.size() > init::kMaxPacket || fds.size() > init::kMaxExtraFds + 1) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-service-spec",
                      "the request does not fit one packet");
  }
  Header header = {.magic = init::kMagic,
                   .version = init::kVersion,
                   .op = static_cast<uint16_t>(op),
                   .seq = ++seq_,
                   .len = static_cast<uint32_t>(body.size())};
  std::array<iovec, 2> parts = {iovec{&header, sizeof header},
                                iovec{const_cast<char*>(body.data()), body.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE((init::kMaxExtraFds + 1) * sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
  }
  absl::Duration until = RealClock().SinceBoot() + kDeadline;
  while (sendmsg(channel_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Gone();
    if (absl::Status status = Wait(POLLOUT, until); !status.ok()) return status;
  }
  for (;;) {
    Header answer;
    absl::StatusOr<Reply> reply = Receive(&answer);
    if (absl::IsNotFound(reply.status())) {
      if (absl::Status status = Wait(POLLIN, until); !status.ok()) return status;
      continue;
    }
    // A reply to a request that timed out earlier is of no use to anybody.
    if (reply.ok() && answer.seq != header.seq) continue;
    if (reply.ok() && answer.op != (header.op | init::kReply)) return Malformed("another reply");
    return reply;
  }
}

void SupervisorChannel::DrainWakeups() {
  uint64_t count;
  while (read(kept_.get(), &count, sizeof count) > 0) {
  }
  // Outside a call nothing but wakes and late replies can arrive.
  while (channel_.valid()) {
    Header header;
    absl::StatusOr<Reply> late = Receive(&header);
    if (absl::IsNotFound(late.status()) || absl::IsUnavailable(late.status())) break;
  }
  while (read(kept_.get(), &count, sizeof count) > 0) {
  }
}

absl::StatusOr<SupervisorChannel::Reply> SupervisorChannel::Receive(Header* header) {
  std::array<char, init::kMaxPacket> data;
  for (;;) {
    iovec part = {data.data(), data.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = recvmsg(channel_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return absl::NotFoundError("nothing waits");
    if (n <= 0) return Gone();
    Reply reply;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        reply.fd.reset(fd);
      }
    }
    size_t size = static_cast<size_t>(n);
    *header = {};
    memcpy(header, data.data(), std::min(size, sizeof *header));
    if (size < sizeof *header || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        header->magic != init::kMagic || header->len != size - sizeof *header) {
      return Malformed("a packet that is not whole");
    }
    if (header->op == static_cast<uint16_t>(init::Op::kWake)) {
      KeepWake();
      continue;
    }
    init::ReplyHead head;
    if (header->len < sizeof head) return Malformed("a reply without its head");
    memcpy(&head, data.data() + sizeof *header, sizeof head);
    reply.error = head.error;
    reply.count = head.count;
    size_t start = sizeof *header + sizeof head;
    reply.body.assign(data.data() + start, size - start);
    return reply;
  }
}

absl::Status SupervisorChannel::Wait(short events, absl::Duration until) {
  for (;;) {
    absl::Duration left = until - RealClock().SinceBoot();
    if (left <= absl::ZeroDuration()) break;
    pollfd poller = {.fd = channel_.get(), .events = events, .revents = 0};
    int ready = poll(&poller, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) break;
  }
  return api::Coded(absl::StatusCode::kUnavailable, "supervisor-timeout",
                    "noded-init did not answer within 2 s", "try again; the machine may be busy");
}

absl::Status SupervisorChannel::Gone() {
  if (channel_.valid()) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel_.get(), nullptr);
    channel_.reset();
    KeepWake();  // once: the loop comes to ask, and is told
  }
  return api::Coded(absl::StatusCode::kUnavailable, "supervisor-gone", "noded-init has ended",
                    "start noded again");
}

void SupervisorChannel::KeepWake() {
  uint64_t one = 1;
  // Ignoring: it fails only when the counter is full, and then it is readable anyway.
  (void)!write(kept_.get(), &one, sizeof one);
}

}  // namespace basalt::host
