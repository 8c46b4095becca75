#include "server/init/core/program.h"

#include <csignal>
#include <initializer_list>

namespace basalt::init {

Program::Program(Os& os, const Settings& settings)
    : os_(os),
      settings_(settings),
      supervisor_(os),
      channel_(os, supervisor_, settings.duties),
      keeper_(os, channel_, settings.watchdog_ns, settings.duties != nullptr) {
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
  bool power = settings_.duties != nullptr && signal == SIGPWR;
  if (signal != SIGTERM && signal != SIGINT && !power) return;
  if (phase_ == Phase::kRunning) reboot_ = signal == SIGINT;
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
  if (settings_.duties != nullptr) DoDuties();
  if (phase_ != Phase::kRunning) Advance();
  channel_.Wake();
}

int64_t Program::NextDeadline() const {
  int64_t next = supervisor_.NextDeadline();
  for (int64_t other : {keeper_.NextDeadline(), kill_ns_, give_up_ns_}) {
    if (other < next) next = other;
  }
  if (settings_.duties != nullptr) {
    int64_t duty = settings_.duties->NextDeadline(sign_ns_);
    if (duty < next) next = duty;
  }
  return next;
}

void Program::BeginShutdown() {
  phase_ = Phase::kStoppingServices;
  sign_ns_ = os_.Now();  // the watchdog is patient with an end too, and it has limits of its own
  supervisor_.BeginShutdown(settings_.stop_limit_ns);
  kill_ns_ = os_.Now() + settings_.stop_limit_ns;
  give_up_ns_ = kill_ns_ + kGiveUpNs;
}

void Program::DoDuties() {
  // One that starts has shown little when its like hung before it, and much when it crashed: K3s is
  // better off with a noded that crashes than with a restart of the machine.
  int64_t fed = keeper_.hung() ? channel_.last_feed_ns() : channel_.last_sign_ns();
  if (fed > sign_ns_) sign_ns_ = fed;
  const char* due = settings_.duties->OnTime(sign_ns_);
  if (phase_ != Phase::kRunning) return;
  if (due != nullptr) {
    os_.Say(due);
    reboot_ = true;
  } else if (channel_.end_asked() != Channel::EndAsked::kNo) {
    reboot_ = channel_.end_asked() == Channel::EndAsked::kReboot;
  } else {
    return;
  }
  BeginShutdown();
  settings_.duties->OnTime(sign_ns_);  // the watchdog bears with an end from its start on
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
