#include "server/init/core/keeper.h"

#include <csignal>
#include <cstdio>

namespace basalt::init {

int Keeper::Start() {
  int error = Launch();
  if (error == 0 || !forever_) return error;
  TryAgain(error);
  return 0;
}

bool Keeper::OnExit(const Exited& exited) {
  if (pid_ == 0 || exited.pid != pid_) return false;
  channel_.OnReadable();  // what it asked for last is done: the next one finds it so
  channel_.Detach();
  pid_ = 0;
  kill_ns_ = Os::kNever;
  if (shutting_down_) return true;
  if (!forever_ && starts_ == 1 && exited.signal == 0 && exited.code == kConfigurationError) {
    misconfigured_ = true;
    return true;
  }
  int64_t now = os_.Now();
  if (now - started_ns_ >= kSettledNs) restarts_ = 0;
  restart_ns_ = now + Delay();
  ++restarts_;
  char line[160];
  snprintf(line, sizeof line, "noded ended with %s %d; restart %d in %lld ms",
           exited.signal != 0 ? "signal" : "code", exited.signal != 0 ? exited.signal : exited.code,
           restarts_, static_cast<long long>((restart_ns_ - now) / 1000000));
  os_.Say(line);
  return true;
}

void Keeper::OnTime() {
  int64_t now = os_.Now();
  if (kill_ns_ <= now) {
    KillNow();
    kill_ns_ = Os::kNever;
  }
  if (!shutting_down_ && pid_ == 0 && restart_ns_ <= now) {
    restart_ns_ = Os::kNever;
    if (int error = Launch(); error != 0) TryAgain(error);
  }
  if (FeedDeadline() <= now) {
    counted_ns_ = channel_.fed_ns() != 0 ? channel_.fed_ns() : started_ns_;
    ++channel_.missed_feeds;
    if (watchdog_ns_ != 0) {
      os_.Say("noded gives no sign of life: killed, to be started again");
      hung_ns_ = now;
      KillNow();
    } else {
      os_.Say("noded gives no sign of life");
    }
  }
}

int64_t Keeper::NextDeadline() const {
  int64_t next = FeedDeadline();
  if (!shutting_down_ && restart_ns_ < next) next = restart_ns_;
  if (kill_ns_ < next) next = kill_ns_;
  return next;
}

void Keeper::BeginShutdown(int64_t grace_ns) {
  shutting_down_ = true;
  restart_ns_ = Os::kNever;
  if (pid_ == 0) return;
  kill_ns_ = os_.Now() + grace_ns;
  os_.Kill(pid_, SIGTERM);
}

void Keeper::KillNow() {
  if (pid_ != 0) os_.Kill(pid_, SIGKILL);
}

int Keeper::Launch() {
  int fd = -1;
  int pid = os_.SpawnNoded(&fd);
  if (pid < 0) return -pid;
  pid_ = pid;
  ++starts_;
  started_ns_ = os_.Now();
  counted_ns_ = 0;
  // Without a channel noded ends by itself at once, and the next start tries again.
  if (channel_.Attach(fd) != 0) os_.Say("the channel to noded cannot be watched");
  return 0;
}

void Keeper::TryAgain(int error) {
  restart_ns_ = os_.Now() + (Delay() > 0 ? Delay() : 200000000);
  ++restarts_;
  char line[80];
  snprintf(line, sizeof line, "noded cannot be started: errno %d", error);
  os_.Say(line);
}

int64_t Keeper::Delay() const {
  constexpr int64_t kMs = 1000000;
  switch (restarts_) {
    case 0:
      return 0;
    case 1:
      return 200 * kMs;
    case 2:
      return 500 * kMs;
    default: {
      int doublings = restarts_ - 3;
      int64_t delay = doublings < 5 ? (1000 * kMs) << doublings : kLongestDelayNs;
      return delay < kLongestDelayNs ? delay : kLongestDelayNs;
    }
  }
}

int64_t Keeper::FeedDeadline() const {
  if (pid_ == 0 || shutting_down_) return Os::kNever;
  int64_t fed = channel_.fed_ns();
  if (fed == 0) {
    // Not a word yet: only a watchdog is entitled to conclusions.
    if (watchdog_ns_ == 0) return Os::kNever;
    fed = started_ns_;
  }
  if (fed == counted_ns_) return Os::kNever;
  return fed + (watchdog_ns_ != 0 ? watchdog_ns_ : kFeedPeriodNs);
}

}  // namespace basalt::init
