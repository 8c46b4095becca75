#include "server/init/core/channel.h"

#include <cerrno>
#include <cstring>

namespace basalt::init {
namespace {

constexpr int kPacketsPerTurn = 32;

}  // namespace

int Channel::Attach(int fd) {
  Detach();
  int error = os_.Watch(fd, kToken);
  if (error != 0) {
    os_.Close(fd);
    return error;
  }
  fd_ = fd;
  // A new noded asks for what it missed: only later events wake it.
  announced_seq_ = supervisor_.last_seq();
  return 0;
}

void Channel::Detach() {
  os_.Close(fd_);
  fd_ = -1;
  hello_seen_ = wake_sent_ = false;
  fed_ns_ = 0;
}

void Channel::OnReadable() {
  for (int i = 0; i < kPacketsPerTurn && fd_ >= 0; ++i) {
    long n = os_.Receive(fd_, &packet_);
    if (n == -EAGAIN || n == -EINTR) return;
    if (n <= 0) {
      Detach();  // noded is gone or about to be; its exit is what restarts it
      return;
    }
    Handle();
    for (int fd = 0; fd < packet_.fd_count; ++fd) os_.Close(packet_.fds[fd]);
    packet_.fd_count = 0;
  }
}

void Channel::Wake() {
  if (fd_ < 0 || wake_sent_ || announced_seq_ >= supervisor_.last_seq()) return;
  Header wake = {.magic = kMagic,
                 .version = kVersion,
                 .op = static_cast<uint16_t>(Op::kWake),
                 .seq = 0,
                 .len = 0};
  if (os_.Send(fd_, &wake, sizeof wake, -1) == 0) {
    wake_sent_ = true;
    announced_seq_ = supervisor_.last_seq();
  }
}

void Channel::Handle() {
  request_ = {};
  if (packet_.size >= sizeof request_) memcpy(&request_, packet_.data, sizeof request_);
  if (packet_.truncated || packet_.size < sizeof request_ || request_.magic != kMagic ||
      request_.len != packet_.size - sizeof request_) {
    return Reply(EPROTO, 0, 0);
  }
  if (request_.version != kVersion) return Reply(EPROTONOSUPPORT, 0, 0);
  const char* body = packet_.data + sizeof request_;
  size_t size = packet_.size - sizeof request_;
  Op op = static_cast<Op>(request_.op);
  if (op == Op::kHello) {
    if (size != sizeof(HelloBody)) return Reply(EPROTO, 0, 0);
    hello_seen_ = true;
    fed_ns_ = last_sign_ns_ = os_.Now();
    HelloReply hello = {.init_pid = init_pid,
                        .missed_feeds = missed_feeds,
                        .last_seq = supervisor_.last_seq(),
                        .watchdog_ns = watchdog_ns};
    memcpy(reply_.body, &hello, sizeof hello);
    return Reply(0, 0, sizeof hello);
  }
  if (!hello_seen_) return Reply(EPROTO, 0, 0);
  switch (op) {
    case Op::kStart:
      return Start(body, size);
    case Op::kStop:
    case Op::kOutput: {
      NameBody name;
      if (size != sizeof name) return Reply(EPROTO, 0, 0);
      memcpy(&name, body, sizeof name);
      if (memchr(name.name, 0, sizeof name.name) == nullptr) return Reply(EPROTO, 0, 0);
      if (op == Op::kStop) return Reply(supervisor_.Stop(name.name), 0, 0);
      OutputReply output;
      int ring = -1;
      int error = supervisor_.Output(name.name, &output, &ring);
      if (error != 0) return Reply(error, 0, 0);
      memcpy(reply_.body, &output, sizeof output);
      return Reply(0, 0, sizeof output, ring);
    }
    case Op::kList: {
      if (size != 0) return Reply(EPROTO, 0, 0);
      size_t count = supervisor_.List(reinterpret_cast<ServiceRecord*>(reply_.body));
      return Reply(0, static_cast<uint32_t>(count), count * sizeof(ServiceRecord));
    }
    case Op::kEvents: {
      EventsBody events;
      if (size != sizeof events) return Reply(EPROTO, 0, 0);
      memcpy(&events, body, sizeof events);
      size_t count =
          supervisor_.Events(events.after_seq, reinterpret_cast<EventRecord*>(reply_.body));
      wake_sent_ = false;
      announced_seq_ = supervisor_.last_seq();
      return Reply(0, static_cast<uint32_t>(count), count * sizeof(EventRecord));
    }
    case Op::kFeed:
      if (size != 0) return Reply(EPROTO, 0, 0);
      fed_ns_ = last_feed_ns_ = last_sign_ns_ = os_.Now();
      return Reply(0, 0, 0);
    case Op::kHealthy:
    case Op::kEnd:
    case Op::kBoot:
    case Op::kWatchdog:
      return OfPid1(op, body, size);
    case Op::kHello:
    case Op::kWake:
      break;
  }
  Reply(ENOSYS, 0, 0);
}

void Channel::OfPid1(Op op, const char* body, size_t size) {
  const size_t wanted = op == Op::kEnd        ? sizeof(EndBody)
                        : op == Op::kWatchdog ? sizeof(WatchdogBody)
                                              : 0;
  if (size != wanted) return Reply(EPROTO, 0, 0);
  if (duties_ == nullptr) return Reply(EOPNOTSUPP, 0, 0);
  if (op == Op::kHealthy) return Reply(duties_->Healthy(), 0, 0);
  if (op == Op::kBoot) {
    BootReply boot;
    duties_->Tell(&boot);
    memcpy(reply_.body, &boot, sizeof boot);
    return Reply(0, 0, sizeof boot);
  }
  if (op == Op::kWatchdog) {
    WatchdogBody watchdog;
    memcpy(&watchdog, body, sizeof watchdog);
    if (watchdog.timeout_ns < kShortestWatchdog || watchdog.timeout_ns > kLongestWatchdog) {
      return Reply(EINVAL, 0, 0);
    }
    int error = duties_->SetWatchdog(&watchdog.timeout_ns);
    memcpy(reply_.body, &watchdog, sizeof watchdog);
    return Reply(error, 0, error == 0 ? sizeof watchdog : 0);
  }
  EndBody end;
  memcpy(&end, body, sizeof end);
  end_asked_ = end.reboot != 0 ? EndAsked::kReboot : EndAsked::kPowerOff;
  Reply(0, 0, 0);
}

void Channel::Start(const char* body, size_t size) {
  StartBody start;
  if (size < sizeof start || packet_.fd_count == 0) return Reply(EPROTO, 0, 0);
  memcpy(&start, body, sizeof start);
  // The supervisor owns the descriptors from here on, whatever it answers.
  int fds[kMaxPassedFds];
  int count = packet_.fd_count;
  memcpy(fds, packet_.fds, sizeof fds);
  packet_.fd_count = 0;
  Supervisor::Started started;
  int error = supervisor_.Start(start, body + sizeof start, size - sizeof start, fds[0], fds + 1,
                                count - 1, &started);
  StartReply reply = {.pid = started.pid, .exec_failed = started.exec_failed};
  memcpy(reply_.body, &reply, sizeof reply);
  Reply(error, 0, sizeof reply);
}

void Channel::Reply(int error, uint32_t count, size_t body, int fd) {
  reply_.header = {.magic = kMagic,
                   .version = kVersion,
                   .op = static_cast<uint16_t>(request_.op | kReply),
                   .seq = request_.seq,
                   .len = static_cast<uint32_t>(sizeof(ReplyHead) + body)};
  reply_.head = {.error = error, .count = count};
  // A noded that sends without reading loses replies, and times out on its own account.
  os_.Send(fd_, &reply_, sizeof(Header) + sizeof(ReplyHead) + body, fd);
}

}  // namespace basalt::init
