#include "server/diagnose/diagnoser.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt::diagnose {
namespace {

constexpr char kCaptureService[] = "capture-1";
constexpr absl::Duration kGrace = absl::Seconds(3);
constexpr size_t kPiece = 256 << 10;

absl::Status Busy(absl::string_view what) {
  return api::Coded(absl::StatusCode::kResourceExhausted, "busy", what, "try again in a moment");
}
absl::Status Failed(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInternal, "diagnose-failed",
                    absl::StrCat(what, ": ", strerror(errno)));
}

std::shared_ptr<host::UniqueFd> InMemory(const std::string& text) {
  auto fd = std::make_shared<host::UniqueFd>(memfd_create("diagnose", MFD_CLOEXEC));
  if (fd->valid() &&
      pwrite(fd->get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    fd->reset();
  }
  return fd;
}

std::string ReadMemory(const host::UniqueFd& fd) {
  std::string text(kMaxResult, '\0');
  const ssize_t n = pread(fd.get(), text.data(), text.size(), 0);
  text.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
  return text;
}

std::string WhoIs(const engine::Caller& caller) {
  return absl::StrCat(caller.name.empty() ? "somebody" : caller.name, " (", caller.peer, ")");
}

}  // namespace

Diagnoser::Diagnoser(engine::Executor& executor, host::Supervisor& supervisor, host::Clock& clock,
                     host::Vfs& vfs, std::string program)
    : executor_(executor),
      supervisor_(supervisor),
      clock_(clock),
      vfs_(vfs),
      program_(std::move(program)),
      capture_run_(executor, supervisor, kCaptureService) {
  for (int i = 0; i < kProbes; ++i) {
    probes_[i].run =
        std::make_unique<engine::OneShot>(executor, supervisor, absl::StrCat("probe-", i + 1));
  }
}

Diagnoser::~Diagnoser() {
  if (capture_ != nullptr && !capture_->waiting) executor_.UnwatchFd(capture_->packets->get());
}

std::shared_ptr<host::UniqueFd> Diagnoser::Program() const {
  return std::make_shared<host::UniqueFd>(open(program_.c_str(), O_RDONLY | O_CLOEXEC));
}

std::vector<std::string> Diagnoser::Environment() const {
  std::vector<std::string> out = {"PATH=/usr/bin:/bin"};
  constexpr char kAuthorities[] = "run/etc/ssl/certs/ca-certificates.crt";
  if (vfs_.Exists(kAuthorities)) out.push_back("SSL_CERT_FILE=" + vfs_.Absolute(kAuthorities));
  return out;
}

void Diagnoser::Probe(const engine::Caller& caller, v1::ProbeRequest request,
                      engine::Reply<v1::ProbeReply> reply) {
  absl::StatusOr<ProbeTask> task = TaskOf(caller, request);
  if (!task.ok()) return reply(task.status());
  executor_.Post([this, task = *std::move(task), reply = std::move(reply)]() mutable {
    StartProbe(task, std::move(reply));
  });
}

void Diagnoser::StartProbe(const ProbeTask& task, engine::Reply<v1::ProbeReply> reply) {
  Slot* slot = nullptr;
  for (Slot& one : probes_) {
    if (!one.busy) slot = &one;
  }
  if (slot == nullptr) return reply(Busy("the node probes as much as it may"));
  engine::OneShotCommand command;
  command.program = Program();
  if (!command.program->valid()) return reply(Failed(program_));
  std::shared_ptr<host::UniqueFd> result = InMemory("");
  if (!result->valid()) return reply(Failed("memory"));
  command.argv = {"noded-wire", "probe"};
  for (std::string& argument : ToArguments(task)) command.argv.push_back(std::move(argument));
  command.env = Environment();
  command.fds = {result};
  slot->busy = true;
  const absl::Duration limit = absl::Milliseconds(task.timeout_ms) + kGrace;
  slot->run->Run(std::move(command), limit,
                 [this, slot, result, reply](absl::StatusOr<engine::OneShotResult> run) {
                   slot->busy = false;
                   if (absl::IsDeadlineExceeded(run.status())) {
                     // A resolver that nobody answers has no deadline of its own.
                     v1::ProbeReply late;
                     late.set_error_code("probe-timeout");
                     late.set_error("no answer in time");
                     return reply(std::move(late));
                   }
                   if (!run.ok()) return reply(run.status());
                   std::optional<ProbeResult> found = UnpackResult(ReadMemory(*result));
                   if (!found) {
                     return reply(api::Coded(absl::StatusCode::kInternal, "diagnose-failed",
                                             absl::StrCat("noded-wire: ", run->output)));
                   }
                   reply(ReplyOf(*found, clock_.Now()));
                 });
}

void Diagnoser::Capture(const engine::Caller& caller, v1::CaptureRequest request,
                        std::shared_ptr<engine::CaptureWatcher> watcher) {
  absl::StatusOr<CaptureTask> task = TaskOf(caller, request);
  if (!task.ok()) return watcher->OnEnd(task.status());
  executor_.Post([this, task = *std::move(task), who = WhoIs(caller), watcher] {
    StartCapture(task, who, watcher);
  });
}

void Diagnoser::StartCapture(const CaptureTask& task, const std::string& who,
                             std::shared_ptr<engine::CaptureWatcher> watcher) {
  if (capture_ != nullptr) {
    return watcher->OnEnd(Busy(absl::StrCat("a capture of ", capture_->who, " runs")));
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return watcher->OnEnd(Failed("pipe"));
  auto packets = std::make_shared<host::UniqueFd>(ends[0]);
  auto theirs = std::make_shared<host::UniqueFd>(ends[1]);
  fcntl(packets->get(), F_SETFL, O_NONBLOCK);
  std::shared_ptr<host::UniqueFd> order = InMemory(Pack(task)), summary = InMemory("");
  engine::OneShotCommand command;
  command.program = Program();
  if (!command.program->valid()) return watcher->OnEnd(Failed(program_));
  if (!order->valid() || !summary->valid()) return watcher->OnEnd(Failed("memory"));
  command.argv = {"noded-wire", "capture"};
  command.env = Environment();
  command.fds = {theirs, order, summary};
  capture_ = std::make_unique<Running>(Running{.watcher = std::move(watcher),
                                               .packets = packets,
                                               .summary = summary,
                                               .who = who,
                                               .interface = task.interface});
  executor_.WatchFd(packets->get(), [this] { ReadPackets(); });
  const absl::Duration limit = absl::Milliseconds(task.duration_ms) + absl::Seconds(30);
  capture_run_.Run(std::move(command), limit, [this](absl::StatusOr<engine::OneShotResult> run) {
    if (capture_ == nullptr) return;
    capture_->exited = true;
    capture_->outcome = run.status();
    if (capture_->at_end) FinishCapture();
  });
}

// One piece at a time: what is not taken stays in the pipe, and then in the kernel, which counts
// what it drops.
void Diagnoser::ReadPackets() {
  std::string piece(kPiece, '\0');
  const ssize_t n = read(capture_->packets->get(), piece.data(), piece.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  executor_.UnwatchFd(capture_->packets->get());
  capture_->waiting = true;
  if (n <= 0) {
    capture_->at_end = true;
    if (capture_->exited) FinishCapture();
    return;
  }
  piece.resize(static_cast<size_t>(n));
  capture_->watcher->OnData(std::move(piece));
}

void Diagnoser::ResumeCapture(const std::shared_ptr<engine::CaptureWatcher>& watcher) {
  executor_.Post([this, watcher] {
    if (capture_ == nullptr || capture_->watcher != watcher || !capture_->waiting ||
        capture_->at_end) {
      return;
    }
    capture_->waiting = false;
    executor_.WatchFd(capture_->packets->get(), [this] { ReadPackets(); });
  });
}

void Diagnoser::FinishCapture() {
  std::unique_ptr<Running> done = std::move(capture_);
  const std::optional<CaptureResult> result = UnpackCapture(ReadMemory(*done->summary));
  if (!result) {
    if (done->outcome.ok()) {
      done->outcome = api::Coded(absl::StatusCode::kInternal, "diagnose-failed",
                                 "the capture ended without a word");
    }
    return done->watcher->OnEnd(done->outcome);
  }
  if (!result->code.empty()) {
    const absl::StatusCode code = result->code == "needs-role" ? absl::StatusCode::kPermissionDenied
                                  : result->code == "bad-filter"
                                      ? absl::StatusCode::kInvalidArgument
                                      : absl::StatusCode::kFailedPrecondition;
    return done->watcher->OnEnd(api::Coded(code, result->code, result->error));
  }
  v1::CaptureSummary summary;
  summary.set_interface(result->interface);
  summary.set_packets(result->packets);
  summary.set_dropped(result->dropped);
  summary.set_own(result->own);
  summary.set_ended(result->ended);
  done->watcher->OnEnd(std::move(summary));
}

void Diagnoser::EndCapture(const std::shared_ptr<engine::CaptureWatcher>& watcher) {
  executor_.Post([this, watcher] {
    if (capture_ == nullptr || capture_->watcher != watcher) return;
    if (!capture_->waiting) executor_.UnwatchFd(capture_->packets->get());
    capture_.reset();
    capture_run_.Forget();
    // Ignoring a failure: it has ended by itself.
    supervisor_.Stop(kCaptureService).IgnoreError();
  });
}

void Diagnoser::OnServiceEvent(const host::ServiceEvent& event) {
  for (Slot& slot : probes_) slot.run->OnServiceEvent(event);
  capture_run_.OnServiceEvent(event);
}

std::vector<engine::Condition> Diagnoser::Alarms() const {
  if (capture_ == nullptr) return {};
  return {{.type = "CaptureRuns",
           .holds = true,
           .reason = "Ordered",
           .message = absl::StrCat(capture_->who, " looks at the packets of ",
                                   capture_->interface.empty() ? "the default route's interface"
                                                               : capture_->interface)}};
}

}  // namespace basalt::diagnose
