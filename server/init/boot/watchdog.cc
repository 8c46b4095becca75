#include "server/init/boot/watchdog.h"

#include <cerrno>

#include "server/init/boot/report.h"

namespace basalt::init {

void Watchdog::Open() {
  opened_ns_ = machine_.Now();
  if (!machine_.OwnsKernel()) return;
  int64_t timeout = kTimeout;
  if (int error = machine_.OpenWatchdog(&timeout); error != 0) {
    Report(machine_, "no-watchdog", error,
           "watchdog: none: a machine that hangs stays so until somebody resets it");
    return;
  }
  armed_ = true;
  period_ns_ = timeout / 4;
  next_ns_ = opened_ns_ + period_ns_;
  machine_.PetWatchdog();
  Report(machine_, nullptr, 0, "watchdog: resets after %lld s",
         static_cast<long long>(timeout / 1000000000));
}

int Watchdog::SetTimeout(int64_t* timeout_ns) {
  if (!armed_) return ENODEV;
  if (int error = machine_.SetWatchdog(timeout_ns); error != 0) return error;
  period_ns_ = *timeout_ns / 4;
  machine_.PetWatchdog();  // a shorter time has begun already
  next_ns_ = machine_.Now() + period_ns_;
  Report(machine_, nullptr, 0, "watchdog: resets after %lld s",
         static_cast<long long>(*timeout_ns / 1000000000));
  return 0;
}

void Watchdog::OnTime(int64_t sign_ns) {
  int64_t now = machine_.Now();
  if (!armed_ || now < next_ns_ || lost(sign_ns)) return;
  machine_.PetWatchdog();
  next_ns_ = now + period_ns_;
}

int64_t Watchdog::NextDeadline(int64_t sign_ns) const {
  int64_t limit = Limit(sign_ns);
  return next_ns_ < limit ? next_ns_ : limit;
}

bool Watchdog::lost(int64_t sign_ns) const { return machine_.Now() >= Limit(sign_ns); }

int64_t Watchdog::Limit(int64_t sign_ns) const {
  return (sign_ns > opened_ns_ ? sign_ns : opened_ns_) + kPatience;
}

}  // namespace basalt::init
