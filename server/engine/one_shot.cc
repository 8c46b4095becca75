#include "server/engine/one_shot.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace basalt::engine {
namespace {

bool Alive(host::ServiceState state) {
  return state != host::ServiceState::kStopped && state != host::ServiceState::kFailed;
}

host::UniqueFd Duplicate(const std::shared_ptr<host::UniqueFd>& fd) {
  return host::UniqueFd(fcntl(fd->get(), F_DUPFD_CLOEXEC, 3));
}

}  // namespace

void OneShot::Forget() {
  running_.reset();
  if (timer_ != 0) executor_.CancelTimer(std::exchange(timer_, 0));
}

void OneShot::Run(OneShotCommand command, absl::Duration limit, Done done) {
  Forget();
  running_ = Running{.command = std::move(command), .done = std::move(done)};
  timer_ = executor_.After(limit, [this, limit] {
    timer_ = 0;
    // Ignoring failure: it has ended by itself then, and its event was lost.
    (void)supervisor_.Stop(service_);
    End(absl::DeadlineExceededError(
        absl::StrCat("it did not end within ", absl::FormatDuration(limit))));
  });
  Start(/*again=*/false);
}

void OneShot::Start(bool again) {
  Running& run = *running_;
  run.waiting = false;
  run.tag = absl::StrCat(getpid(), "-", ++last_id_);
  // NotFound: the first run of this name.
  run.output_start = supervisor_.OutputOffset(service_).value_or(0);
  host::ServiceSpec spec;
  spec.name = service_;
  spec.tag = run.tag;
  spec.argv = run.command.argv;
  spec.env = run.command.env;
  spec.exec_fd = Duplicate(run.command.program);
  for (const auto& fd : run.command.fds) spec.fds.push_back(Duplicate(fd));
  spec.stop_grace = absl::Seconds(1);
  absl::Status status = supervisor_.Start(std::move(spec));
  if (absl::IsAlreadyExists(status) && !again && supervisor_.Stop(service_).ok()) {
    run.waiting = true;  // one that an earlier noded left
  } else if (!status.ok()) {
    End(std::move(status));
  }
}

void OneShot::OnServiceEvent(const host::ServiceEvent& event) {
  // The event may be an older one, or was lost: the list says how things are.
  if (!running_ || (event.name != service_ && event.kind != host::ServiceEvent::Kind::kLost))
    return;
  absl::StatusOr<std::vector<host::ServiceStatus>> list = supervisor_.List();
  if (!list.ok()) return;
  for (const host::ServiceStatus& service : *list) {
    if (service.name != service_ || Alive(service.state)) continue;
    if (running_->waiting) return Start(/*again=*/true);
    if (service.tag != running_->tag) continue;
    return End(OneShotResult{
        .exit_code = service.exit_code, .signal = service.signal, .output = Output()});
  }
}

std::string OneShot::Output() const {
  uint64_t end = 0;
  std::string text = supervisor_.Output(service_, 4096, &end).value_or("");
  const uint64_t own = end > running_->output_start ? end - running_->output_start : 0;
  return own < text.size() ? text.substr(text.size() - own) : text;
}

void OneShot::End(absl::StatusOr<OneShotResult> result) {
  Done done = std::move(running_->done);
  Forget();
  done(std::move(result));
}

}  // namespace basalt::engine
