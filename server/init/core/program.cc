#include "server/init/core/program.h"

#include <csignal>
#include <initializer_list>

namespace basalt::init {

Program::Program(Os& os, const Settings& settings)
    : os_(os),
      settings_(settings),
      supervisor_(os),
      channel_(os, supervisor_),
      keeper_(os, channel_, settings.watchdog_ns) {
  channel_.watchdog_ns = settings.watchdog_ns;
  channel_.init_pid = settings.init_pid;
}

int Program::Start() { return keeper_.Start(); }

void Program::ReapAll() {
  Exited exited;
  while (os_.Reap(&exited)) {
    if (keeper_.OnExit(exited)) continue;
    supervisor_.OnExit(exited);  // false: an orphan that was adopted; reaping it was all
  }
  if (keeper_.misconfigured() && phase_ == Phase::kRunning) {
    exit_code_ = kConfigurationError;
    BeginShutdown();
  }
}

void Program::OnSignal(int signal) {
  if (signal != SIGTERM && signal != SIGINT) return;
  if (phase_ == Phase::kRunning) {
    BeginShutdown();
  } else {
    Hurry();
  }
}

void Program::OnReadable(uint64_t token) {
  if (token == Channel::kToken) {
    channel_.OnReadable();
  } else {
    supervisor_.OnReadable(token);
  }
}

void Program::OnTime() {
  supervisor_.OnTime();
  keeper_.OnTime();
  if (phase_ != Phase::kRunning) Advance();
  channel_.Wake();
}

int64_t Program::NextDeadline() const {
  int64_t next = supervisor_.NextDeadline();
  for (int64_t other : {keeper_.NextDeadline(), kill_ns_, give_up_ns_}) {
    if (other < next) next = other;
  }
  return next;
}

void Program::BeginShutdown() {
  phase_ = Phase::kStoppingServices;
  supervisor_.BeginShutdown(settings_.stop_limit_ns);
  kill_ns_ = os_.Now() + settings_.stop_limit_ns;
  give_up_ns_ = kill_ns_ + kGiveUpNs;
}

void Program::Hurry() {
  if (hurried_ || phase_ == Phase::kDone) return;
  hurried_ = true;
  os_.Say("second signal: killing what is left");
  supervisor_.KillAll();
  if (phase_ == Phase::kStoppingNoded) keeper_.KillNow();
  kill_ns_ = Os::kNever;
  give_up_ns_ = os_.Now() + kGiveUpNs;
}

void Program::Advance() {
  int64_t now = os_.Now();
  if (kill_ns_ <= now) {
    supervisor_.KillAll();
    kill_ns_ = Os::kNever;
  }
  bool give_up = give_up_ns_ <= now;
  if (phase_ == Phase::kStoppingServices && (supervisor_.alive() == 0 || give_up)) {
    if (supervisor_.alive() > 0) {
      os_.Say("a service outlived SIGKILL: going on without it");
      exit_code_ = 1;
    }
    phase_ = Phase::kStoppingNoded;
    kill_ns_ = Os::kNever;
    keeper_.BeginShutdown(kNodedGraceNs);
    if (hurried_) keeper_.KillNow();
    give_up_ns_ = now + kNodedGraceNs + kGiveUpNs;
    give_up = false;
  }
  if (phase_ == Phase::kStoppingNoded && (!keeper_.running() || give_up)) {
    if (keeper_.running()) {
      os_.Say("noded outlived SIGKILL: leaving it behind");
      exit_code_ = 1;
    }
    phase_ = Phase::kDone;
    give_up_ns_ = Os::kNever;
  }
}

}  // namespace basalt::init
