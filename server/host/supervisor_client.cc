#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/host/supervisor.h"
#include "server/host/supervisor_channel.h"
#include "server/host/supervisor_spec.h"

namespace basalt::host {
namespace {

using init::Op;

template <typename T>
absl::string_view Bytes(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <size_t N>
std::string Text(const char (&field)[N]) {
  return std::string(field, strnlen(field, N));
}

template <size_t N>
void Put(char (&field)[N], absl::string_view text) {
  memcpy(field, text.data(), std::min(text.size(), N - 1));
}

absl::Status Malformed() {
  return api::Coded(absl::StatusCode::kDataLoss, "supervisor-protocol",
                    "noded-init sent a reply of the wrong size",
                    "noded and noded-init are of different releases: restart both");
}

absl::Status FromErrno(int error, absl::string_view what) {
  std::string text = absl::StrCat(what, ": ", strerror(error));
  switch (error) {
    case 0:
      return absl::OkStatus();
    case EEXIST:
      return api::Coded(absl::StatusCode::kAlreadyExists, "service-runs",
                        absl::StrCat(what, ": it runs already"));
    case ENOENT:
      return api::Coded(absl::StatusCode::kNotFound, "service-not-found",
                        absl::StrCat(what, ": no such service"),
                        "`nodectl get service` lists them");
    case EINVAL:
      return api::Coded(absl::StatusCode::kInvalidArgument, "bad-service-spec", text);
    case ENOSPC:
      return api::Coded(absl::StatusCode::kResourceExhausted, "too-many-services",
                        absl::StrCat(what, ": 32 services run already"));
    case ESHUTDOWN:
      return api::Coded(absl::StatusCode::kUnavailable, "supervisor-stopping",
                        absl::StrCat(what, ": noded-init is stopping"));
    case EOPNOTSUPP:
      return api::Coded(absl::StatusCode::kUnimplemented, "not-pid1",
                        absl::StrCat(what, ": noded-init is not PID 1 here"));
    case ENOSYS:
    case EPROTONOSUPPORT:
      return api::Coded(absl::StatusCode::kUnimplemented, "supervisor-too-old", text,
                        "noded and noded-init are of different releases: restart both");
    default:
      return api::Coded(absl::StatusCode::kInternal, "supervisor-refused", text);
  }
}

// `count` records of type T, exactly.
template <typename T>
absl::StatusOr<std::vector<T>> Records(const SupervisorChannel::Reply& reply, size_t most) {
  if (reply.count > most || reply.body.size() != reply.count * sizeof(T)) return Malformed();
  std::vector<T> records(reply.count);
  if (!records.empty()) memcpy(records.data(), reply.body.data(), reply.body.size());
  return records;
}

class Client : public Supervisor {
 public:
  explicit Client(std::unique_ptr<SupervisorChannel> channel) : channel_(std::move(channel)) {}

  absl::Status Hello() {
    init::HelloBody hello = {.pid = getpid(), .reserved = 0};
    auto reply = channel_->Call(Op::kHello, Bytes(hello));
    if (!reply.ok()) return reply.status();
    if (reply->error != 0) return FromErrno(reply->error, "hello");
    return reply->body.size() == sizeof(init::HelloReply) ? absl::OkStatus() : Malformed();
  }

  absl::Status Start(ServiceSpec spec) override {
    if (absl::Status bad = ValidateSpec(spec); !bad.ok()) return bad;
    init::StartBody start = {};
    Put(start.name, spec.name);
    Put(start.tag, spec.tag);
    Put(start.cgroup, spec.cgroup);
    // A time beyond what noded-init takes means "never", and a year of boot time is that.
    auto ns = [](absl::Duration d) { return absl::ToInt64Nanoseconds(std::min(d, kLongest)); };
    start.delay_ns = ns(spec.restart.delay);
    start.max_delay_ns = ns(spec.restart.max_delay);
    start.rapid_ns = ns(spec.restart.rapid);
    start.stop_grace_ns = ns(spec.stop_grace);
    start.nofile = spec.nofile;
    start.always = spec.restart.always;
    start.notify = spec.notify;
    start.argc = static_cast<uint16_t>(spec.argv.size());
    start.envc = static_cast<uint16_t>(spec.env.size());
    start.fds = static_cast<uint16_t>(spec.fds.size());
    std::string body(Bytes(start));
    for (const auto* list : {&spec.argv, &spec.env}) {
      for (const std::string& text : *list) body.append(text.c_str(), text.size() + 1);
    }
    std::vector<int> fds = {spec.exec_fd.get()};
    for (const UniqueFd& fd : spec.fds) fds.push_back(fd.get());
    auto reply = channel_->Call(Op::kStart, body, fds);
    if (!reply.ok()) return reply.status();
    if (reply->body.size() == sizeof(init::StartReply)) {
      init::StartReply started;
      memcpy(&started, reply->body.data(), sizeof started);
      if (reply->error != 0 && started.exec_failed != 0) {
        return api::Coded(
            absl::StatusCode::kFailedPrecondition, "exec-failed",
            absl::StrCat("service \"", spec.name, "\": ", spec.argv[0], ": ",
                         strerror(reply->error)),
            reply->error == ENOEXEC || reply->error == ENOENT
                ? "the program must be an ELF file of this architecture, with its loader"
                : "");
      }
    } else if (reply->error == 0) {
      return Malformed();
    }
    return FromErrno(reply->error, absl::StrCat("service \"", spec.name, "\""));
  }

  absl::Status Stop(absl::string_view name) override {
    auto reply = Named(Op::kStop, name);
    return reply.ok() ? absl::OkStatus() : reply.status();
  }

  absl::StatusOr<std::vector<ServiceStatus>> List() override {
    auto reply = channel_->Call(Op::kList, "");
    if (!reply.ok()) return reply.status();
    if (reply->error != 0) return FromErrno(reply->error, "list");
    auto records = Records<init::ServiceRecord>(*reply, init::kMaxServices);
    if (!records.ok()) return records.status();
    std::vector<ServiceStatus> list;
    for (const init::ServiceRecord& r : *records) {
      if (r.state > static_cast<uint8_t>(init::State::kFailed)) return Malformed();
      list.push_back({.name = Text(r.name),
                      .tag = Text(r.tag),
                      .state = static_cast<ServiceState>(r.state),
                      .pid = r.pid,
                      .starts = r.starts,
                      .ready = r.ready != 0,
                      .exited = r.exited != 0,
                      .exit_code = r.exit_code,
                      .signal = r.signal,
                      .started_at = absl::Nanoseconds(r.started_ns),
                      .exited_at = absl::Nanoseconds(r.exited_ns),
                      .cgroup_missing = r.cgroup_missing != 0});
    }
    return list;
  }

  absl::StatusOr<std::string> Output(absl::string_view name, size_t max_bytes,
                                     uint64_t* end) override {
    auto before = Ring(name);
    if (!before.ok()) return before.status();
    if (end != nullptr) *end = before->at.written;
    uint64_t kept = std::min<uint64_t>({before->at.written, before->at.capacity, max_bytes});
    uint64_t begin = before->at.written - kept;
    std::string text(kept, 0);
    for (size_t done = 0; done < text.size();) {
      uint64_t offset = (begin + done) % before->at.capacity;
      size_t part = std::min<uint64_t>(text.size() - done, before->at.capacity - offset);
      ssize_t n = pread(before->fd.get(), text.data() + done, part, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return FromErrno(n < 0 ? errno : EIO, "reading the output");
      done += static_cast<size_t>(n);
    }
    // What the service wrote meanwhile has overwritten the oldest bytes: they are not ours to show.
    auto after = Ring(name);
    if (!after.ok()) return after.status();
    uint64_t oldest =
        after->at.written > after->at.capacity ? after->at.written - after->at.capacity : 0;
    if (oldest > begin) text.erase(0, std::min<uint64_t>(oldest - begin, text.size()));
    return text;
  }

  absl::StatusOr<uint64_t> OutputOffset(absl::string_view name) override {
    auto ring = Ring(name);
    if (!ring.ok()) return ring.status();
    return ring->at.written;
  }

  absl::StatusOr<std::vector<ServiceEvent>> Events(uint64_t after_seq) override {
    auto reply = channel_->Call(Op::kEvents, Bytes(init::EventsBody{after_seq}));
    if (!reply.ok()) return reply.status();
    if (reply->error != 0) return FromErrno(reply->error, "events");
    auto records = Records<init::EventRecord>(*reply, init::kMaxEvents + 1);
    if (!records.ok()) return records.status();
    std::vector<ServiceEvent> events;
    for (const init::EventRecord& r : *records) {
      if (r.kind > static_cast<uint32_t>(init::EventKind::kLost)) return Malformed();
      events.push_back({.seq = r.seq,
                        .kind = static_cast<ServiceEvent::Kind>(r.kind),
                        .name = Text(r.name),
                        .pid = r.pid,
                        .exit_code = r.exit_code,
                        .signal = r.signal});
    }
    return events;
  }

  int event_fd() const override { return channel_->event_fd(); }
  void DrainWakeups() override { channel_->DrainWakeups(); }

  absl::Status Feed() override {
    auto reply = channel_->Call(Op::kFeed, "");
    return reply.ok() ? FromErrno(reply->error, "feed") : reply.status();
  }

  absl::StatusOr<BootStatus> Boot() override {
    auto reply = channel_->Call(Op::kBoot, "");
    if (!reply.ok()) return reply.status();
    if (reply->error != 0) return FromErrno(reply->error, "boot");
    init::BootReply boot;
    if (reply->body.size() != sizeof boot) return Malformed();
    memcpy(&boot, reply->body.data(), sizeof boot);
    if (boot.entry > static_cast<uint8_t>(BootStatus::Entry::kStale)) return Malformed();
    return BootStatus{.owns_kernel = boot.owns_kernel != 0,
                      .state_missing = boot.state >= init::kFirstMissingVolume,
                      .data_missing = boot.data >= init::kFirstMissingVolume,
                      .data_is_new = boot.data == init::kFormattedVolume,
                      .state_reason = Text(boot.state_reason),
                      .data_reason = Text(boot.data_reason),
                      .entry = static_cast<BootStatus::Entry>(boot.entry),
                      .entry_reason = Text(boot.entry_reason),
                      .watchdog = boot.watchdog != 0,
                      .clock_raised = boot.clock_raised != 0,
                      .failed_steps = boot.failed_steps};
  }

  absl::Status Healthy() override {
    auto reply = channel_->Call(Op::kHealthy, "");
    if (!reply.ok()) return reply.status();
    if (reply->error == 0 || reply->error == EOPNOTSUPP || reply->error == ENOSYS) {
      return FromErrno(reply->error, "healthy");
    }
    return api::Coded(absl::StatusCode::kFailedPrecondition, "entry-not-blessed",
                      absl::StrCat("the boot entry stays as it is: ", strerror(reply->error)));
  }

  absl::StatusOr<absl::Duration> SetWatchdog(absl::Duration timeout) override {
    init::WatchdogBody body = {.timeout_ns = absl::ToInt64Nanoseconds(timeout)};
    auto reply = channel_->Call(Op::kWatchdog, Bytes(body));
    if (!reply.ok()) return reply.status();
    if (reply->error == ENODEV) {
      return api::Coded(absl::StatusCode::kNotFound, "no-watchdog", "this machine has no watchdog");
    }
    if (reply->error != 0) return FromErrno(reply->error, "watchdog");
    if (reply->body.size() != sizeof body) return Malformed();
    memcpy(&body, reply->body.data(), sizeof body);
    return absl::Nanoseconds(body.timeout_ns);
  }

  absl::Status EndMachine(bool reboot) override {
    auto reply = channel_->Call(Op::kEnd, Bytes(init::EndBody{.reboot = reboot, .reserved = 0}));
    return reply.ok() ? FromErrno(reply->error, "end") : reply.status();
  }

 private:
  static constexpr absl::Duration kLongest = absl::Hours(24 * 365);
  struct RingAt {
    init::OutputReply at;
    UniqueFd fd;
  };

  absl::StatusOr<SupervisorChannel::Reply> Named(Op op, absl::string_view name) {
    std::string what = absl::StrCat("service \"", name, "\"");
    if (name.empty() || name.size() > kMaxServiceName) return FromErrno(ENOENT, what);
    init::NameBody body = {};
    Put(body.name, name);
    auto reply = channel_->Call(op, Bytes(body));
    if (reply.ok() && reply->error != 0) return FromErrno(reply->error, what);
    return reply;
  }

  absl::StatusOr<RingAt> Ring(absl::string_view name) {
    auto reply = Named(Op::kOutput, name);
    if (!reply.ok()) return reply.status();
    RingAt ring;
    if (reply->body.size() != sizeof ring.at || !reply->fd.valid()) return Malformed();
    memcpy(&ring.at, reply->body.data(), sizeof ring.at);
    if (ring.at.capacity == 0 || ring.at.capacity > (64u << 20)) return Malformed();
    ring.fd = std::move(reply->fd);
    return ring;
  }

  std::unique_ptr<SupervisorChannel> channel_;
};

static_assert(static_cast<int>(ServiceState::kFailed) == static_cast<int>(init::State::kFailed));
static_assert(static_cast<int>(ServiceState::kStopping) ==
              static_cast<int>(init::State::kStopping));
static_assert(static_cast<int>(ServiceEvent::Kind::kExit) ==
                  static_cast<int>(init::EventKind::kExit) &&
              static_cast<int>(ServiceEvent::Kind::kLost) ==
                  static_cast<int>(init::EventKind::kLost));
static_assert(kMaxServiceName == init::kNameSize - 1 && kMaxServiceTag == init::kTagSize - 1 &&
              kMaxServiceFds == init::kMaxExtraFds && kMaxServiceArgs == init::kMaxArgs &&
              kMaxServiceEnv == init::kMaxEnv && kMaxServiceStrings == init::kMaxStrings);

}  // namespace

absl::StatusOr<std::unique_ptr<Supervisor>> ConnectSupervisor(UniqueFd fd) {
  auto channel = SupervisorChannel::Open(std::move(fd));
  if (!channel.ok()) return channel.status();
  auto client = std::make_unique<Client>(*std::move(channel));
  if (absl::Status hello = client->Hello(); !hello.ok()) return hello;
  return client;
}

}  // namespace basalt::host
