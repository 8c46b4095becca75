#include "server/logs/sender_process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/logs/collector.h"
#include "server/logs/ship.h"
#include "server/logs/store_names.h"

namespace basalt::logs {
namespace {

absl::Status Failed(absl::string_view what) {
  return absl::InternalError(absl::StrCat(what, ": ", strerror(errno)));
}

// Secrets stand in it: memory that nobody else can open, sealed against whoever gets it.
absl::StatusOr<host::UniqueFd> InMemory(const std::string& text) {
  host::UniqueFd fd(memfd_create("logs", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return Failed("memory for the spec");
  if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return Failed("memory for the spec");
  }
  fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  return fd;
}

}  // namespace

SenderProcess::~SenderProcess() {
  if (timer_ != 0) executor_.CancelTimer(timer_);
  CloseSocket();
}

void SenderProcess::Want(std::optional<ShipSpec> spec) {
  if (spec && spec->sinks.empty() && spec->keep_bytes == 0) spec.reset();
  if (spec == spec_ && (socket_.valid() || !spec)) return;
  spec_ = std::move(spec);
  states_.clear();
  fault_.clear();
  Replace();
}

// It ends by itself when its socket does, after it has sent what it had in hand.
void SenderProcess::Replace() {
  CloseSocket();
  Check();
}

void SenderProcess::Check() {
  absl::StatusOr<std::vector<host::ServiceStatus>> list = supervisor_.List();
  if (!list.ok()) return Later();
  for (const host::ServiceStatus& service : *list) {
    if (service.name != kSenderService || service.state == host::ServiceState::kStopped ||
        service.state == host::ServiceState::kFailed) {
      continue;
    }
    // Of an earlier spec, or of an earlier noded. Ignoring a failure: it has ended meanwhile.
    if (!socket_.valid()) supervisor_.Stop(kSenderService).IgnoreError();
    return;
  }
  if (socket_.valid()) {
    CloseSocket();
    fault_ = "noded-wire has ended by itself";
    on_state_();
    return Later();
  }
  if (!spec_) return;
  absl::Status started = Start();
  const std::string fault(started.message());
  if (fault != fault_) {
    fault_ = fault;
    on_state_();
  }
  if (!started.ok()) Later();
}

void SenderProcess::Later() {
  if (timer_ != 0) return;
  timer_ = executor_.After(kStartAgain, [this] {
    timer_ = 0;
    Check();
  });
}

absl::Status SenderProcess::Start() {
  absl::StatusOr<host::UniqueFd> spec = InMemory(Pack(*spec_));
  if (!spec.ok()) return spec.status();
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return Failed("socketpair");
  host::UniqueFd ours(pair[0]), theirs(pair[1]);
  host::ServiceSpec service;
  service.name = kSenderService;
  service.argv = {"noded-wire", "logs"};
  service.env = {"SSL_CERT_FILE=" + vfs_.Absolute("run/etc/ssl/certs/ca-certificates.crt")};
  if (!vfs_.Exists("run/etc/ssl/certs/ca-certificates.crt")) service.env.clear();
  service.env.push_back("PATH=/usr/bin:/bin");
  service.exec_fd = host::UniqueFd(open(program_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!service.exec_fd.valid()) return Failed(program_);
  service.fds.push_back(*std::move(spec));
  service.fds.push_back(std::move(theirs));
  if (spec_->keep_bytes > 0) {
    if (absl::Status made = vfs_.MakeDirs(kStoreDirectory, 0750); !made.ok()) return made;
    host::UniqueFd store(
        open(vfs_.Absolute(kStoreDirectory).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!store.valid()) return Failed(kStoreDirectory);
    service.fds.push_back(std::move(store));
  }
  service.cgroup = kSenderService;
  service.stop_grace = absl::Seconds(8);
  if (absl::Status started = supervisor_.Start(std::move(service)); !started.ok()) return started;
  socket_ = std::move(ours);
  executor_.WatchFd(socket_.get(), [this] { ReadStates(); });
  return absl::OkStatus();
}

void SenderProcess::CloseSocket() {
  if (!socket_.valid()) return;
  executor_.UnwatchFd(socket_.get());
  socket_.reset();
}

bool SenderProcess::Offer(const Record& record) {
  if (!socket_.valid()) return false;
  const std::string packet = Pack(record);
  return send(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void SenderProcess::ReadStates() {
  char packet[2048];
  bool changed = false;
  while (true) {
    const ssize_t n = recv(socket_.get(), packet, sizeof packet, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n <= 0) {
      // It has ended; the supervisor says so too, and then it is started again.
      executor_.UnwatchFd(socket_.get());
      break;
    }
    std::optional<SinkState> state = UnpackState(absl::string_view(packet, static_cast<size_t>(n)));
    if (!state || states_.size() > 16) continue;
    states_[state->name] = *std::move(state);
    changed = true;
  }
  if (changed) on_state_();
}

void SenderProcess::OnServiceEvent(const host::ServiceEvent& event) {
  if (event.name == kSenderService || event.kind == host::ServiceEvent::Kind::kLost) Check();
}

}  // namespace basalt::logs
